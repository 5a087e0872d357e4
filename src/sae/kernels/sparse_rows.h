// The sparse products of an SAE over the (token, feature) pairs of its codes. `w` is
// row-major [n_features, d]; `x`, `y` are columns of tokens. All walk column block by column
// block, so that what they gather from stays in the L2 cache, and give the same bits for any cut of
// the features or columns. Single-threaded; callers give disjoint ranges to threads.
#pragma once

#include <cstdint>
#include <span>

#include "sae/by_feature.h"
#include "sae/kernels/column_blocks.h"

namespace safesail {

/// out[p] = <w[feature of p], x[token of p]> for the pairs of features [first, last).
void pair_dots(const ByFeature& pairs, std::int64_t first, std::int64_t last, const float* w,
               const ColumnBlocks& x, float* out);

/// out[f - first] = sum over the pairs of f of coefficients[p] * x[token of p]; out is
/// [last - first, d] row-major.
void pair_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
               const float* coefficients, const ColumnBlocks& x, float* out);

/// Both of the above in one pass over x: dots = <w[f], x[token]>, sums[f - first] of coefficients *
/// x.
void pair_dots_and_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                        const float* w, const float* coefficients, const ColumnBlocks& x,
                        float* dots, float* sums);

/// y[token of p] += coefficients[p] * w[feature of p] for the pairs of features [first, last), in
/// column block `block` of y.
void pair_spread(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                 const float* coefficients, const float* w, std::int64_t block, ColumnBlocks& y);

}  // namespace safesail
