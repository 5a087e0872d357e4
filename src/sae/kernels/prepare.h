// From activations to what the kernels read: shifted and scaled tokens as f32 column blocks and as
// rows for the encoder GEMM.
#pragma once

#include <cstdint>

#include "sae/aligned.h"
#include "sae/kernels/column_blocks.h"

namespace safesail {

/// How a value becomes the encoder's input: (x - center) * scale - bias. A null pointer means
/// zeros.
struct Affine {
  const float* center = nullptr;
  float scale = 1;
  const float* bias = nullptr;
};

/// One row of d values, f32 or bf16 bits, to `out` f32. Returns the sum of squares, which is finite
/// only when every value is.
double prepare_row(const float* in, const Affine& affine, std::int64_t d, float* out);
double prepare_row(const std::uint16_t* in, const Affine& affine, std::int64_t d, float* out);

/// Row `row` of `blocks` = values [n_columns], and back.
void put_row(const float* values, std::int64_t row, ColumnBlocks& blocks);
void get_row(const ColumnBlocks& blocks, std::int64_t row, float* values);

}  // namespace safesail
