#include "sae/code_pairs.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <functional>
#include <numeric>

#include "sae/code_key.h"
#include "sae/kernels/sparse_rows.h"

namespace safesail {

void sort_by_feature(std::span<const SparseCodes> parts, std::int64_t n_features, CodePairs& out) {
  std::vector<std::int64_t>& offsets = out.by_feature.offsets;
  offsets.assign(std::size_t(n_features) + 1, 0);
  for (const SparseCodes& codes : parts)
    for (const std::int32_t feature : codes.indices) ++offsets[std::size_t(feature) + 1];
  for (std::size_t f = 0; f < std::size_t(n_features); ++f) offsets[f + 1] += offsets[f];
  resize_anew(out.by_feature.tokens, std::size_t(offsets.back()));
  resize_anew(out.pre, out.by_feature.tokens.size());
  // offsets[f] serves as the write position of f and ends at the start of f + 1; shifted back
  // below.
  std::int32_t token = 0;
  for (const SparseCodes& codes : parts) {
    for (std::size_t t = 0; t < std::size_t(codes.n_tokens()); ++t, ++token) {
      for (auto i = std::size_t(codes.offsets[t]); i < std::size_t(codes.offsets[t + 1]); ++i) {
        const auto place = std::size_t(offsets[std::size_t(codes.indices[i])]++);
        out.by_feature.tokens[place] = token;
        if (!codes.values.empty()) out.pre[place] = codes.values[i];
      }
    }
  }
  std::copy_backward(offsets.begin(), offsets.end() - 1, offsets.end());
  offsets[0] = 0;
  out.activated.clear();
}

SparseCodes codes_of(const CodePairs& pairs, std::int64_t n_tokens) {
  KeysByToken keys(pairs, n_tokens);
  SparseCodes codes;
  codes.offsets = keys.offsets;
  codes.indices.resize(keys.keys.size());
  codes.values.resize(keys.keys.size());
  at::parallel_for(0, n_tokens, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::span<std::uint64_t> token = keys.of(t);
      std::ranges::sort(token, std::greater<>());
      auto i = std::size_t(codes.offsets[std::size_t(t)]);
      for (const std::uint64_t key : token) {
        codes.indices[i] = feature_of(key);
        codes.values[i++] = value_of(key);
      }
    }
  });
  return codes;
}

void value_gradients(const CodePairs& pairs, std::int64_t first, std::int64_t last,
                     const float* w_dec, const ColumnBlocks& residual, float scale,
                     std::span<float> gradients, float* w_dec_gradient) {
  pair_dots_and_sums(pairs.by_feature, first, last, w_dec,
                     pairs.values().data() + pairs.by_feature.begin_of(first), residual,
                     gradients.data(), w_dec_gradient);
  const std::int64_t n = (last - first) * residual.n_columns();
  for (std::int64_t i = 0; i < n; ++i) w_dec_gradient[i] *= scale;
  for (float& gradient : gradients) gradient *= scale;
}

void encoder_gradients(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                       std::span<const float> gradients, const ColumnBlocks& tokens,
                       float* w_enc_gradient, float* b_enc_gradient) {
  auto gradient = gradients.begin();
  for (std::int64_t f = first; f < last; ++f) {
    const auto end = gradient + std::ptrdiff_t(pairs.of(f).size());
    b_enc_gradient[f - first] = std::accumulate(gradient, end, 0.0f);
    gradient = end;
  }
  pair_sums(pairs, first, last, gradients.data(), tokens, w_enc_gradient);
}

}  // namespace safesail
