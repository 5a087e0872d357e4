#include "sae/agreement.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::int64_t kRowsAtOnce = 1024;

/// Decoder rows [begin, end) at unit length.
at::Tensor directions(const Sae& sae, std::int64_t begin, std::int64_t end) {
  const std::int64_t d = sae.spec().d_out;
  const at::Tensor rows =
      at::from_blob(const_cast<float*>(sae.w_dec().data()) + begin * d, {end - begin, d});
  return rows / rows.norm(2, 1, true).clamp_min(1e-30);
}

struct Best {
  explicit Best(std::int64_t n) : cosine(at::full({n}, -2.0f)), match(at::zeros({n}, at::kLong)) {}

  /// Cosines of the features from `first` on with those of the other from `other_first` on.
  void update(const at::Tensor& cosines, std::int64_t first, std::int64_t other_first) {
    const auto [value, place] = cosines.max(1);
    at::Tensor best = cosine.narrow(0, first, value.size(0));
    at::Tensor matched = match.narrow(0, first, value.size(0));
    const at::Tensor better = value.gt(best);
    matched.copy_(at::where(better, place + other_first, matched));
    best.copy_(at::maximum(best, value));
  }

  at::Tensor cosine;  // [n]
  at::Tensor match;   // [n] of the other SAE
};

}  // namespace

FeatureAgreement feature_agreement(const Sae& a, const Sae& b, double threshold) {
  if (a.spec().d_out != b.spec().d_out)
    bad_input(
        "feature agreement",
        fmt::format("expected SAEs of one width, got {} and {}", a.spec().d_out, b.spec().d_out),
        "compare SAEs of the same site");
  const c10::InferenceMode inference;
  const std::int64_t n = a.spec().n_features, m = b.spec().n_features;
  Best of_a(n), of_b(m);
  for (std::int64_t i = 0; i < n; i += kRowsAtOnce) {
    const at::Tensor rows = directions(a, i, std::min(n, i + kRowsAtOnce));
    for (std::int64_t j = 0; j < m; j += kRowsAtOnce) {
      const at::Tensor cosines = rows.mm(directions(b, j, std::min(m, j + kRowsAtOnce)).t());
      of_a.update(cosines, i, j);
      of_b.update(cosines.t(), j, i);
    }
  }
  const at::Tensor mutual = of_b.match.index_select(0, of_a.match).eq(at::arange(n));
  const auto n_matched = mutual.logical_and(of_a.cosine.gt(threshold)).sum().item<std::int64_t>();
  return {of_a.cosine.mean().item<double>(), of_b.cosine.mean().item<double>(),
          static_cast<double>(n_matched) / static_cast<double>(std::min(n, m))};
}

}  // namespace safesail
