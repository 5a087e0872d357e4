#include "sae/code_pairs.h"

#include "sae/kernels/sparse_rows.h"

namespace safesail {

void CodePairs::assign(const SparseCodes& codes, std::int64_t n_features) {
  sort_by_feature(codes, n_features, by_feature);
  const auto n_pairs = std::size_t(by_feature.n_pairs());
  pre.resize(n_pairs);
  gradients.resize(n_pairs);
  for (std::size_t p = 0; p < n_pairs; ++p) pre[p] = codes.values[std::size_t(by_feature.slots[p])];
  values = pre;
}

void value_gradients(CodePairs& pairs, std::int64_t first, std::int64_t last, const float* w_dec,
                     const ColumnBlocks& residual, float scale, float* w_dec_gradient) {
  pair_dots_and_sums(pairs.by_feature, first, last, w_dec, pairs.values.data(), residual,
                     pairs.gradients.data(), w_dec_gradient);
  const std::int64_t n = (last - first) * residual.n_columns();
  for (std::int64_t i = 0; i < n; ++i) w_dec_gradient[i] *= scale;
  const std::vector<std::int64_t>& offsets = pairs.by_feature.offsets;
  for (auto p = std::size_t(offsets[std::size_t(first)]);
       p < std::size_t(offsets[std::size_t(last)]); ++p)
    pairs.gradients[p] *= scale;
}

void encoder_gradients(const CodePairs& pairs, std::int64_t first, std::int64_t last,
                       const ColumnBlocks& tokens, float* w_enc_gradient, float* b_enc_gradient) {
  const std::vector<std::int64_t>& offsets = pairs.by_feature.offsets;
  for (std::int64_t f = first; f < last; ++f) {
    float sum = 0;
    for (auto p = std::size_t(offsets[std::size_t(f)]);
         p < std::size_t(offsets[std::size_t(f) + 1]); ++p)
      sum += pairs.gradients[p];
    b_enc_gradient[f - first] = sum;
  }
  pair_sums(pairs.by_feature, first, last, pairs.gradients.data(), tokens, w_enc_gradient);
}

}  // namespace safesail
