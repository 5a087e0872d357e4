// The sparse products of an SAE over the (token, feature) pairs of its codes. `w` is row-major
// [n_features, d]; `x`, `y` are columns of tokens. All take features [first, last) and arrays
// `coefficients` and `dots` of their pairs only; w starts at feature 0. All walk column block by
// column block, so that what they gather from stays in the L2 cache, and give the same bits for any
// cut of the features or columns. Single-threaded; callers give disjoint ranges to threads.
#pragma once

#include <cstdint>
#include <span>

#include "sae/by_feature.h"
#include "sae/kernels/column_blocks.h"

namespace safesail {

/// dots = <w[feature of the pair], x[its token]>.
void pair_dots(const ByFeature& pairs, std::int64_t first, std::int64_t last, const float* w,
               const ColumnBlocks& x, float* dots);

/// sums[f - first] = sum over the pairs of f of coefficient * x[token]; sums is [last - first, d]
/// row-major.
void pair_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
               const float* coefficients, const ColumnBlocks& x, float* sums);

/// Both of the above in one pass over x.
void pair_dots_and_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                        const float* w, const float* coefficients, const ColumnBlocks& x,
                        float* dots, float* sums);

/// y[token] += sign * coefficient * w[feature] in column block `block` of y; sign is 1 or -1.
void pair_spread(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                 const float* coefficients, float sign, const float* w, std::int64_t block,
                 ColumnBlocks& y);

}  // namespace safesail
