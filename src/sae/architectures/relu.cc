// ReLU with an L1 term (Bricken et al. 2023): all positive pre-activations; the loss has
//   penalty * mean over tokens of sum_f value_f
// (decoder rows have unit norm, so that shrinking codes and growing decoders is no way out). With
// a target L0 the penalty is moved until the L0 comes to it.
#include <ATen/ATen.h>

#include "base/error.h"
#include "sae/architectures/architectures.h"
#include "sae/keep.h"
#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {
namespace {

class Relu final : public Architecture {
 public:
  std::string_view name() const override { return "relu"; }
  std::string_view summary() const override { return "all positive ones, with an L1 term"; }
  Rule rule() const override { return Rule::threshold; }

  void check(const SaeSpec& spec, const TrainerOptions& options) const override {
    if (spec.k > 0 || options.penalty > 0) return;
    bad_input("sae penalty", "expected a target L0 or a penalty for a ReLU SAE, got neither",
              "give --target-l0 or --penalty");
  }

  // Half of all features would be active with biases of zero; start a few times above the target.
  void start(TrainerState& state, const TrainerOptions& options,
             const at::Tensor& z) const override {
    const SaeSpec& spec = state.sae.spec();
    const double density =
        spec.k > 0 ? std::min(4 * double(spec.k) / double(spec.n_features), 0.5) : 0.05;
    const float bound = pre_quantile(state, z, density);
    for (float& bias : state.sae.b_enc()) bias = -bound;
    state.penalty = options.penalty > 0 ? options.penalty : 1 / double(spec.d_out);
  }

  void select(const StepView& step, const EncoderWeights& encoder, const PreparedTokens& tokens,
              EncodeScratch& scratch, CodePairs& pairs) const override {
    const std::vector<float> zeros(std::size_t(encoder.n_features), 0.0f);
    candidates_above(encoder, tokens, step.options.selection, zeros, scratch, pairs);
    keep_above(zeros, pairs);
  }

  double sparsity_loss(const StepView& step, const CodePairs& pairs, double) const override {
    double sum = 0;
    for (const float value : pairs.pre) sum += value;
    return step.state.penalty * sum / double(step.n_tokens);
  }

  void backward(const StepView& step, double, std::int64_t, FeaturePairs pairs,
                std::span<float>) const override {
    const auto slope = float(step.state.penalty / double(step.n_tokens));
    for (float& gradient : pairs.gradients) gradient += slope;
  }

  void dense(const DenseView& view, Dense out) const override {
    *out.codes = view.pre.relu();
    *out.loss = out.codes->sum().mul(view.step.state.penalty / double(view.step.n_tokens));
  }

  void after_step(TrainerState& state, const TrainerOptions&,
                  const StepFacts& facts) const override {
    control_penalty(state, facts);
  }
};

}  // namespace

const Architecture& relu_architecture() {
  static const Relu architecture;
  return architecture;
}

}  // namespace safesail
