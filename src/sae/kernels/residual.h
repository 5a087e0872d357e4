// Sums over the residual of a reconstruction, a column block at a time.
#pragma once

#include <cstdint>

#include "sae/kernels/column_blocks.h"

namespace safesail {

/// Over all tokens and the columns of one block.
struct ResidualSums {
  double squared_error = 0;      ///< of residual
  double squared_deviation = 0;  ///< of z from its mean over the tokens
};

/// Of block `block` of `residual` (zhat - z) and of z; column_sums (over all columns) gets the
/// residual's sums over the tokens. Summed in f64, token by token.
ResidualSums sum_residual(const ColumnBlocks& z, std::int64_t block, const ColumnBlocks& residual,
                          float* column_sums);

}  // namespace safesail
