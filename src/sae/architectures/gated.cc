// Gated (Rajamanoharan et al. 2024a): whether a feature is active and how much are two questions.
//   value = ReLU(exp(r_mag) * pre + b_mag) where pre > 0, else 0
// The loss has penalty * mean over tokens of sum_f ReLU(pre_f), and ReLU(pre) must reconstruct,
// too, through the decoder as it is (no gradient into it). The magnitude's bias is counted from the
// gate's pre-activation, so that the trained SAE is a thresholded one:
//   W = exp(r_mag) W_enc, b = exp(r_mag) b_enc + b_mag, threshold = b_mag.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "sae/architectures/architectures.h"
#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {
namespace {

enum : std::size_t { kRMag, kBMag };

class Gated final : public Architecture {
 public:
  std::string_view name() const override { return "gated"; }
  std::string_view summary() const override { return "a gate and a magnitude, with an L1 term"; }
  Rule rule() const override { return Rule::threshold; }
  std::vector<std::string> own_parameters() const override { return {"r_mag", "b_mag"}; }
  bool pre_reconstructs() const override { return true; }

  void check(const SaeSpec& spec, const TrainerOptions& options) const override {
    if (spec.k > 0 || options.penalty > 0) return;
    bad_input("sae penalty", "expected a target L0 or a penalty for a gated SAE, got neither",
              "give --target-l0 or --penalty");
  }

  // As of ReLU; b_mag brings the magnitude back to <z, W_enc>.
  void start(TrainerState& state, const TrainerOptions& options,
             const at::Tensor& z) const override {
    relu_architecture().start(state, options, z);
    const std::span<float> b_mag = state.own(kBMag), b_enc = state.sae.b_enc();
    for (std::size_t f = 0; f < b_mag.size(); ++f) b_mag[f] = -b_enc[f];
  }

  void select(const StepView& step, const EncoderWeights& encoder, const PreparedTokens& tokens,
              EncodeScratch& scratch, CodePairs& pairs) const override {
    relu_architecture().select(step, encoder, tokens, scratch, pairs);
  }

  void activate(const TrainerState& state, CodePairs& pairs) const override {
    resize_anew(pairs.activated, pairs.pre.size());
    for (std::int64_t f = 0; f < pairs.by_feature.n_features(); ++f) {
      const float growth = std::exp(state.own(kRMag)[std::size_t(f)]);
      const float bias = state.own(kBMag)[std::size_t(f)];
      for (const std::size_t p : pairs.by_feature.of(f))
        pairs.activated[p] = std::max(growth * pairs.pre[p] + bias, 0.0f);
    }
  }

  double sparsity_loss(const StepView& step, const CodePairs& pairs, double) const override {
    double sum = 0;
    for (const float pre : pairs.pre) sum += pre;
    return step.state.penalty * sum / double(step.n_tokens);
  }

  void backward(const StepView& step, double, std::int64_t feature, FeaturePairs pairs,
                std::span<float> own) const override {
    const auto slope = float(step.state.penalty / double(step.n_tokens));
    const float growth = std::exp(step.state.own(kRMag)[std::size_t(feature)]);
    float by_growth = 0, by_bias = 0;
    for (std::size_t i = 0; i < pairs.pre.size(); ++i) {
      const float by_value = pairs.values[i] > 0 ? pairs.gradients[i] : 0;
      by_growth += by_value * growth * pairs.pre[i];
      by_bias += by_value;
      pairs.gradients[i] = growth * by_value + pairs.by_gate[i] + slope;
    }
    own[kRMag] = by_growth;
    own[kBMag] = by_bias;
  }

  void dense(const DenseView& view, Dense out) const override {
    const at::Tensor gate = view.pre.relu();
    const at::Tensor magnitude = view.pre.mul(view.own[kRMag].exp()).add(view.own[kBMag]).relu();
    *out.codes = magnitude.mul(gate > 0);
    const double n = double(view.step.n_tokens), d = double(view.target.size(1));
    const at::Tensor error = gate.matmul(view.w_dec.detach()).sub(view.target);
    *out.loss = error.square().sum().div(n * d).add(gate.sum(), view.step.state.penalty / n);
  }

  void after_step(TrainerState& state, const TrainerOptions&,
                  const StepFacts& facts) const override {
    control_penalty(state, facts);
  }

  std::optional<Sae> inference_sae(TrainerState& state) const override {
    Sae sae = state.sae.clone();
    const auto d = std::size_t(sae.spec().d_in);
    for (std::size_t f = 0; f < sae.b_enc().size(); ++f) {
      const float growth = std::exp(state.own(kRMag)[f]), bias = state.own(kBMag)[f];
      for (float& weight : sae.w_enc().subspan(f * d, d)) weight *= growth;
      sae.b_enc()[f] = growth * sae.b_enc()[f] + bias;
      sae.threshold()[f] = bias;
    }
    return sae;
  }
};

}  // namespace

const Architecture& gated_architecture() {
  static const Gated architecture;
  return architecture;
}

}  // namespace safesail
