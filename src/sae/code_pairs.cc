#include "sae/code_pairs.h"

#include "sae/kernels/sparse_rows.h"

namespace safesail {

void CodePairs::assign(const SparseCodes& codes, std::int64_t n_features) {
  sort_by_feature(codes.indices, codes.k, n_features, by_feature);
  const auto n_pairs = std::size_t(by_feature.n_pairs());
  values.resize(n_pairs);
  gradients.resize(n_pairs);
  for (std::size_t p = 0; p < n_pairs; ++p) {
    values[p] = codes.values[std::size_t(by_feature.slots[p])];
  }
}

void code_gradients(CodePairs& pairs, std::int64_t first, std::int64_t last, const float* w_dec,
                    const ColumnBlocks& residual, const ColumnBlocks& tokens, float scale,
                    float* w_dec_gradient, float* w_enc_gradient, float* b_enc_gradient) {
  const std::int64_t d = tokens.n_columns();
  const ByFeature& by_feature = pairs.by_feature;
  pair_dots_and_sums(by_feature, first, last, w_dec, pairs.values.data(), residual,
                     pairs.gradients.data(), w_dec_gradient);
  for (std::int64_t i = 0; i < (last - first) * d; ++i) w_dec_gradient[i] *= scale;
  for (std::int64_t f = first; f < last; ++f) {
    float sum = 0;
    for (auto p = std::size_t(by_feature.offsets[std::size_t(f)]);
         p < std::size_t(by_feature.offsets[std::size_t(f) + 1]); ++p) {
      pairs.gradients[p] *= scale;
      sum += pairs.gradients[p];
    }
    b_enc_gradient[f - first] = sum;
  }
  pair_sums(by_feature, first, last, pairs.gradients.data(), tokens, w_enc_gradient);
}

}  // namespace safesail
