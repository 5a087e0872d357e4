// Products of bf16 by the dot-product instruction of x86 (AVX512-BF16), which Highway reaches only
// in versions newer than the one we build on. Sums are f32.
#pragma once

#include <cstddef>
#include <cstdint>

namespace safesail::cpu {

/// The functions below may be called only where this is true.
bool has_bf16_dot();

/// C (+)= A B, as in attention_cpu.cc. Lanes of A and B are pairs of bf16 in 32 bits, consecutive
/// along the inner dimension; C is f32. A(r, k) = a[r * a_row + k * a_inner]. `rows` is a multiple
/// of 8, `columns` of 16.
struct PairProduct {
  const std::uint32_t* a;
  std::size_t a_row, a_inner;
  const std::uint32_t* b;
  std::size_t b_inner;
  float* c;
  std::size_t c_row;
  std::size_t rows, columns, inner;
  bool accumulate;
};
void multiply_pairs(const PairProduct& product);

/// Partial sums [n_rows, 16] of weight row r . x, rows `width` apart; the product is the sum of the
/// sixteen.
void dot_rows_bf16(int n_rows, const std::uint16_t* weight, const std::uint16_t* x,
                   std::int64_t width, float* sums);

}  // namespace safesail::cpu
