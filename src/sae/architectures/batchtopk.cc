#include "sae/architectures/batchtopk.h"

#include <ATen/ATen.h>
#include <algorithm>

#include "base/error.h"
#include "sae/architectures/architectures.h"
#include "sae/keep.h"
#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {
namespace {

// Of a sample of the batch's tokens, the value that `per_token` pre-activations a token exceed.
float sampled_bound(const EncoderWeights& encoder, const PreparedTokens& tokens,
                    Selection selection, double per_token) {
  constexpr std::int64_t kSample = 128;
  const bool bf16 = selection == Selection::bf16;
  const std::int64_t n = tokens.n_tokens(), stride = std::max<std::int64_t>(n / kSample, 1);
  const at::ScalarType type = bf16 ? at::kBFloat16 : at::kFloat;
  const auto view = [&](const void* data, std::int64_t rows) {
    return at::from_blob(const_cast<void*>(data), {rows, encoder.d}, at::TensorOptions(type));
  };
  const at::Tensor all = bf16 ? view(tokens.rows_bf16.data(), n) : view(tokens.rows.data(), n);
  const at::Tensor w =
      bf16 ? view(encoder.w_bf16, encoder.n_features) : view(encoder.w, encoder.n_features);
  const at::Tensor sample = all.slice(0, 0, n, stride);
  at::Tensor pre = sample.contiguous()
                       .matmul(w.t())
                       .to(at::kFloat)
                       .add_(at::from_blob(const_cast<float*>(encoder.bias), {encoder.n_features}));
  const auto values = std::span(pre.mutable_data_ptr<float>(), std::size_t(pre.numel()));
  const double wanted = per_token * double(sample.size(0));
  if (wanted >= double(values.size())) return 0;
  const auto rank = std::ptrdiff_t(wanted);
  std::nth_element(values.begin(), values.begin() + rank, values.end(), std::greater<>());
  return std::max(values[std::size_t(rank)], 0.0f);
}

}  // namespace

void BatchTopK::check(const SaeSpec& spec, const TrainerOptions&) const {
  if (spec.k > 0) return;
  bad_input("sae k", "expected at least 1 to train a BatchTopK SAE, got 0", "give --k");
}

// The batch's k * n best cannot be found a token at a time. A bound that surely lets them through
// is guessed from a sample of tokens; should it have been too high, a lower one is tried.
void BatchTopK::select(const StepView& step, const EncoderWeights& encoder,
                       const PreparedTokens& tokens, EncodeScratch& scratch,
                       CodePairs& pairs) const {
  const std::int64_t wanted = step.k * step.n_tokens;
  for (double per_token = 1.2 * double(step.k);; per_token *= 2) {
    const float bound = sampled_bound(encoder, tokens, step.options.selection, per_token);
    const std::vector<float> lower(std::size_t(encoder.n_features), bound);
    candidates_above(encoder, tokens, step.options.selection, lower, scratch, pairs);
    const std::int64_t above =
        std::ranges::count_if(pairs.pre, [&](float pre) { return pre > bound; });
    if (above < wanted && bound > 0) continue;
    keep_best(wanted, pairs);
    return;
  }
}

void BatchTopK::dense(const DenseView& view, Dense out) const {
  const std::int64_t wanted = std::min(view.step.k * view.step.n_tokens, view.pre.numel());
  const auto [values, indices] = view.pre.flatten().topk(wanted, 0);
  *out.codes =
      at::zeros_like(view.pre).flatten().scatter(0, indices, values.relu()).view_as(view.pre);
}

void BatchTopK::after_step(TrainerState& state, const TrainerOptions&,
                           const StepFacts& facts) const {
  // A plain mean at first, so that short trainings have a threshold too; a running one from then.
  constexpr double kWindow = 20;
  const double rate = 1 / std::min(double(state.n_steps), kWindow);
  state.threshold += rate * (double(facts.lowest_value) - state.threshold);
}

std::optional<Sae> BatchTopK::inference_sae(TrainerState& state) const {
  std::ranges::fill(state.sae.threshold(), float(state.threshold));
  return std::nullopt;
}

const Architecture& batchtopk_architecture() {
  static const BatchTopK architecture;
  return architecture;
}

}  // namespace safesail
