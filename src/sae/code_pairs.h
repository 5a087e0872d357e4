// The (token, feature) pairs of a batch that carry a value or a gradient, in feature order, and the
// gradients that flow through them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/by_feature.h"
#include "sae/kernels/column_blocks.h"
#include "sae/sae.h"

namespace safesail {

struct CodePairs {
  ByFeature by_feature;
  std::vector<float> pre;  ///< [n_pairs] <token, W_enc[f]> + b_enc[f]
  /// [n_pairs] what is decoded where that is not pre; else empty.
  std::vector<float> activated;

  std::span<const float> values() const { return activated.empty() ? pre : activated; }
};

/// The pairs of `parts`, codes of tokens that follow each other. Their values become pre; where
/// they have none yet, pre is left to be filled. Reuses the memory of `out`.
void sort_by_feature(std::span<const SparseCodes> parts, std::int64_t n_features, CodePairs& out);

/// The way back: codes of `n_tokens` tokens, each token's by falling pre, of equal ones the lower
/// feature first. All pre must be positive.
SparseCodes codes_of(const CodePairs& pairs, std::int64_t n_tokens);

/// For the loss scale/2 * sum |residual|^2 where residual = values W_dec + constant, and features
/// [first, last), whose pairs `gradients` covers: gradients = scale * <W_dec[f], residual[token]>,
/// and w_dec_gradient[f - first] = scale * sum of value * residual[token]. Single-threaded.
void value_gradients(const CodePairs& pairs, std::int64_t first, std::int64_t last,
                     const float* w_dec, const ColumnBlocks& residual, float scale,
                     std::span<float> gradients, float* w_dec_gradient);

/// From the gradients by pre of the pairs of features [first, last): w_enc_gradient[f - first] =
/// sum of gradient * tokens[token], b_enc_gradient[f - first] = sum of gradient. Single-threaded.
void encoder_gradients(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                       std::span<const float> gradients, const ColumnBlocks& tokens,
                       float* w_enc_gradient, float* b_enc_gradient);

}  // namespace safesail
