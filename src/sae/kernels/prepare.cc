#include "sae/kernels/prepare.h"

#include <algorithm>

#include "base/half.h"
#include "sae/kernels/vectors.h"

namespace safesail {
namespace {

// Plain loops: the compiler vectorises them, and memory is the limit.
template <class T, class Convert>
double prepare(const T* in, const Affine& affine, std::int64_t d, float* out, Convert convert) {
  for (std::int64_t i = 0; i < d; ++i) out[i] = convert(in[i]);
  if (affine.center != nullptr) {
    for (std::int64_t i = 0; i < d; ++i) out[i] = (out[i] - affine.center[i]) * affine.scale;
  }
  if (affine.bias != nullptr) {
    for (std::int64_t i = 0; i < d; ++i) out[i] -= affine.bias[i];
  }
  return sum_of_squares(out, d);
}

}  // namespace

double prepare_row(const float* in, const Affine& affine, std::int64_t d, float* out) {
  return prepare(in, affine, d, out, [](float value) { return value; });
}

double prepare_row(const std::uint16_t* in, const Affine& affine, std::int64_t d, float* out) {
  return prepare(in, affine, d, out, float_of_bf16);
}

void put_row(const float* values, std::int64_t row, ColumnBlocks& blocks) {
  for (std::int64_t b = 0; b < blocks.n_blocks(); ++b) {
    float* to = blocks.block(b) + row * kBlockColumns;
    const float* from = values + b * kBlockColumns;
    std::copy(from, from + blocks.width(b), to);
    std::fill(to + blocks.width(b), to + kBlockColumns, 0.0f);
  }
}

void get_row(const ColumnBlocks& blocks, std::int64_t row, float* values) {
  for (std::int64_t b = 0; b < blocks.n_blocks(); ++b)
    std::copy_n(blocks.block(b) + row * kBlockColumns, blocks.width(b), values + b * kBlockColumns);
}

}  // namespace safesail
