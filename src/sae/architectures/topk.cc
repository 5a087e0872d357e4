// TopK (Makhzani & Frey 2013; Gao et al. 2024): the k largest pre-activations of each token, then
// ReLU. Nothing but the reconstruction is in the loss. The paper Safe-SAIL's choice.
#include <ATen/ATen.h>

#include "sae/architectures/architectures.h"
#include "sae/keep.h"
#include "sae/trainer.h"

namespace safesail {
namespace {

class TopK final : public Architecture {
 public:
  std::string_view name() const override { return "topk"; }
  std::string_view summary() const override { return "the k largest of each token"; }
  Rule rule() const override { return Rule::top_k; }
  bool fixes_k() const override { return true; }

  void select(const StepView& step, const EncoderWeights& encoder, const PreparedTokens& tokens,
              EncodeScratch& scratch, CodePairs& pairs) const override {
    candidates_top_k(encoder, tokens, step.options.selection, step.k, scratch, pairs);
    keep_top_k(step.k, step.n_tokens, pairs);
  }

  void dense(const DenseView& view, Dense out) const override {
    const auto [values, indices] = view.pre.topk(view.step.k, 1);
    *out.codes = at::zeros_like(view.pre).scatter(1, indices, values.relu());
  }
};

}  // namespace

const Architecture& topk_architecture() {
  static const TopK architecture;
  return architecture;
}

}  // namespace safesail
