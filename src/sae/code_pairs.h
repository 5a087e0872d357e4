// The active (token, feature) pairs of a batch and the gradients that flow through them.
#pragma once

#include <cstdint>
#include <vector>

#include "sae/by_feature.h"
#include "sae/kernels/column_blocks.h"
#include "sae/sae.h"

namespace safesail {

struct CodePairs {
  ByFeature by_feature;
  std::vector<float> values;     ///< [n_pairs]
  std::vector<float> gradients;  ///< [n_pairs] of the loss with respect to the values

  void assign(const SparseCodes& codes, std::int64_t n_features);
};

/// The gradients of features [first, last) of the loss scale/2 * sum |residual|^2, where residual =
/// codes W_dec + constant and codes = tokens W_enc^T + b_enc on the pairs:
///   w_dec[f] = scale * sum of value * residual[token]
///   w_enc[f] = sum of gradient * tokens[token],  b_enc[f] = sum of gradient,
///   where gradient of a pair = scale * <W_dec[f], residual[token]>
/// Outputs start at feature `first`. Single-threaded; the pairs' gradients are stored.
void code_gradients(CodePairs& pairs, std::int64_t first, std::int64_t last, const float* w_dec,
                    const ColumnBlocks& residual, const ColumnBlocks& tokens, float scale,
                    float* w_dec_gradient, float* w_enc_gradient, float* b_enc_gradient);

}  // namespace safesail
