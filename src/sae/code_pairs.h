// The (token, feature) pairs of a training batch that carry a value or a gradient, and the
// gradients that flow through them.
#pragma once

#include <cstdint>
#include <vector>

#include "sae/by_feature.h"
#include "sae/kernels/column_blocks.h"
#include "sae/sae.h"

namespace safesail {

struct CodePairs {
  ByFeature by_feature;
  std::vector<float> pre;     ///< [n_pairs] <token, W_enc[f]> + b_enc[f]
  std::vector<float> values;  ///< [n_pairs] what is decoded; pre unless the architecture says more
  std::vector<float> gradients;  ///< [n_pairs] of the loss, first by the values, then by pre

  void assign(const SparseCodes& codes, std::int64_t n_features);
};

/// For the loss scale/2 * sum |residual|^2 where residual = values W_dec + constant, and features
/// [first, last): pairs.gradients = scale * <W_dec[f], residual[token]>, and
/// w_dec_gradient[f - first] = scale * sum of value * residual[token]. Single-threaded.
void value_gradients(CodePairs& pairs, std::int64_t first, std::int64_t last, const float* w_dec,
                     const ColumnBlocks& residual, float scale, float* w_dec_gradient);

/// From the gradients by pre: w_enc_gradient[f - first] = sum of gradient * tokens[token],
/// b_enc_gradient[f - first] = sum of gradient. Single-threaded.
void encoder_gradients(const CodePairs& pairs, std::int64_t first, std::int64_t last,
                       const ColumnBlocks& tokens, float* w_enc_gradient, float* b_enc_gradient);

}  // namespace safesail
