// The residual of a reconstruction and its sums, a column block at a time.
#pragma once

#include <cstdint>

#include "sae/kernels/column_blocks.h"

namespace safesail {

/// Over all tokens and the columns of one block.
struct ResidualSums {
  double squared_error = 0;      ///< of residual
  double squared_deviation = 0;  ///< of z from its mean over the tokens
};

/// Block `block`: residual -= z; column_sums (over all columns) gets the residual's sums over the
/// tokens. Summed in f64, token by token.
ResidualSums finish_residual(const ColumnBlocks& z, std::int64_t block, ColumnBlocks& residual,
                             float* column_sums);

}  // namespace safesail
