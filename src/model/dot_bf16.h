// C (+)= A B in pairs of bf16 by the dot-product instruction of x86 (AVX512-BF16), which Highway
// reaches only in versions newer than the one we build on. See multiply() in attention_cpu.cc for
// the shapes; this is that function for one instruction.
#pragma once

#include <cstddef>
#include <cstdint>

namespace safesail::cpu {

bool has_bf16_dot();

/// Lanes of A and B are pairs of bf16 in 32 bits, consecutive along the inner dimension; C is f32.
/// A(r, k) = a[r * a_row + k * a_inner]. `rows` is a multiple of 8, `columns` of 16.
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

}  // namespace safesail::cpu
