// BatchTopK (Bussmann et al. 2024): the k * n_tokens largest pre-activations of the whole batch,
// then ReLU, so that rich tokens may have more features than poor ones. It runs with one threshold
// for all features: a running mean of the lowest value that a batch kept.
#pragma once

#include "sae/architecture.h"

namespace safesail {

class BatchTopK : public Architecture {
 public:
  std::string_view name() const override { return "batchtopk"; }
  std::string_view summary() const override { return "the k largest a token, chosen by batch"; }
  Rule rule() const override { return Rule::threshold; }
  bool fixes_k() const override { return true; }
  void check(const SaeSpec& spec, const TrainerOptions& options) const override;
  void select(const StepView& step, const EncoderWeights& encoder, const PreparedTokens& tokens,
              EncodeScratch& scratch, CodePairs& pairs) const override;
  void dense(const DenseView& view, Dense out) const override;
  void after_step(TrainerState& state, const TrainerOptions& options,
                  const StepFacts& facts) const override;
  std::optional<Sae> inference_sae(TrainerState& state) const override;
};

}  // namespace safesail
