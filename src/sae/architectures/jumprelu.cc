// JumpReLU (Rajamanoharan et al. 2024b): pre where it exceeds a trained threshold of its feature.
// The loss has penalty * (L0 / target - 1)^2. Thresholds get straight-through gradients, from pairs
// on both sides of the threshold that are nearer than half a bandwidth e:
//   d value / d threshold = -threshold / e,   d [pre > threshold] / d threshold = -1 / e.
// Thresholds are trained as they are: as logarithms they freeze when small. How fast they learn:
// Parameter::lr_factor.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "sae/architectures/architectures.h"
#include "sae/keep.h"
#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {
namespace {

// d loss / d (number of active pairs).
double by_count(const StepView& step, double l0) {
  const auto target = double(step.state.sae.spec().k);
  return 2 * step.state.penalty * (l0 / target - 1) / target / double(step.n_tokens);
}

class JumpRelu final : public Architecture {
 public:
  std::string_view name() const override { return "jumprelu"; }
  std::string_view summary() const override { return "those above a trained threshold"; }
  Rule rule() const override { return Rule::threshold; }
  std::vector<std::string> own_parameters() const override { return {"threshold"}; }

  void check(const SaeSpec& spec, const TrainerOptions& options) const override {
    if (spec.k < 1)
      bad_input("sae target L0", "expected at least 1 to train a JumpReLU SAE, got 0",
                "give --target-l0 or --k");
    if (!(options.bandwidth > 0))
      bad_input("sae bandwidth", fmt::format("expected above 0, got {}", options.bandwidth),
                "leave it at its default");
  }

  // From the start as many are active as shall be in the end.
  void start(TrainerState& state, const TrainerOptions& options,
             const at::Tensor& z) const override {
    const SaeSpec& spec = state.sae.spec();
    const float bound = pre_quantile(state, z, double(spec.k) / double(spec.n_features));
    std::ranges::fill(state.sae.threshold(), std::max(bound, 0.0f));
    state.penalty = options.penalty > 0 ? options.penalty : 4;
  }

  void select(const StepView& step, const EncoderWeights& encoder, const PreparedTokens& tokens,
              EncodeScratch& scratch, CodePairs& pairs) const override {
    const std::span<const float> threshold = step.state.sae.threshold();
    std::vector<float> lower(threshold.begin(), threshold.end());
    for (float& bound : lower) bound -= float(step.options.bandwidth / 2);
    candidates_above(encoder, tokens, step.options.selection, lower, scratch, pairs);
    keep_above(lower, pairs);
  }

  void activate(const TrainerState& state, CodePairs& pairs) const override {
    pairs.activated = pairs.pre;
    for (std::int64_t f = 0; f < pairs.by_feature.n_features(); ++f) {
      const float threshold = state.sae.threshold()[std::size_t(f)];
      for (const std::size_t p : pairs.by_feature.of(f))
        if (!(pairs.pre[p] > threshold)) pairs.activated[p] = 0;
    }
  }

  double sparsity_loss(const StepView& step, const CodePairs&, double l0) const override {
    const double miss = l0 / double(step.state.sae.spec().k) - 1;
    return step.state.penalty * miss * miss;
  }

  void backward(const StepView& step, double l0, std::int64_t feature, FeaturePairs pairs,
                std::span<float> own) const override {
    const auto bandwidth = float(step.options.bandwidth);
    const auto by_active = float(by_count(step, l0));
    const float threshold = step.state.sae.threshold()[std::size_t(feature)];
    float by_threshold = 0;
    for (std::size_t i = 0; i < pairs.pre.size(); ++i) {
      if (std::abs(pairs.pre[i] - threshold) < bandwidth / 2)
        by_threshold -= (threshold * pairs.gradients[i] + by_active) / bandwidth;
      if (!(pairs.pre[i] > threshold)) pairs.gradients[i] = 0;
    }
    own[0] = by_threshold;
  }

  // The straight-through terms are zero in value: (threshold - threshold as a constant).
  void dense(const DenseView& view, Dense out) const override {
    const at::Tensor& threshold = view.own[0];
    const at::Tensor fixed = threshold.detach(), nothing = threshold.sub(fixed);
    const at::Tensor distance = view.pre.detach().sub(fixed);
    const double bandwidth = view.step.options.bandwidth;
    const at::Tensor near = distance.abs().lt(bandwidth / 2).to(at::kFloat).div(bandwidth);
    const at::Tensor active = distance.gt(0).to(at::kFloat);
    *out.codes = view.pre.mul(active).sub(near.mul(fixed).mul(nothing));
    const at::Tensor l0 = active.sub(near.mul(nothing)).sum().div(double(view.step.n_tokens));
    *out.loss =
        l0.div(double(view.step.state.sae.spec().k)).sub(1).square().mul(view.step.state.penalty);
  }
};

}  // namespace

const Architecture& jumprelu_architecture() {
  static const JumpRelu architecture;
  return architecture;
}

}  // namespace safesail
