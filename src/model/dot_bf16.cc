#include "model/dot_bf16.h"

#include "base/cpu.h"
#include "base/error.h"
#include "model/amx_bf16.h"
#include "model/unroll.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define SAFESAIL_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#endif

namespace safesail::cpu {

#if defined(__x86_64__)

bool has_bf16_dot() {
  return cpu_multiplies_bf16();
}

namespace {

constexpr std::size_t kRows = 8;

/// kRows x (16 kVectors) of C, held in registers.
template <int kVectors>
SAFESAIL_BF16_TARGET void multiply_panel(const PairProduct& p, std::size_t row,
                                         std::size_t column) {
  __m512 sum[kRows][kVectors];
  float* c = p.c + row * p.c_row + column;
  SAFESAIL_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) {
    SAFESAIL_UNROLL
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = p.accumulate ? _mm512_loadu_ps(c + r * p.c_row + 16 * v) : _mm512_setzero_ps();
  }
  const std::uint32_t* a = p.a + row * p.a_row;
  const std::uint32_t* b = p.b + column;
  for (std::size_t k = 0; k < p.inner; ++k, a += p.a_inner, b += p.b_inner) {
    __m512bh right[kVectors];
    SAFESAIL_UNROLL
    for (int v = 0; v < kVectors; ++v) right[v] = (__m512bh)_mm512_loadu_si512(b + 16 * v);
    SAFESAIL_UNROLL
    for (std::size_t r = 0; r < kRows; ++r) {
      const auto left = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r * p.a_row]));
      SAFESAIL_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], left, right[v]);
    }
  }
  SAFESAIL_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) {
    SAFESAIL_UNROLL
    for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(c + r * p.c_row + 16 * v, sum[r][v]);
  }
}

SAFESAIL_BF16_TARGET inline __m512bh load(const std::uint16_t* p) {
  return (__m512bh)_mm512_loadu_si512(p);
}

/// Partial sums of row . x, sixteen of them. Four accumulators, so that none waits for itself.
SAFESAIL_BF16_TARGET void dot_row(const std::uint16_t* row, const std::uint16_t* x,
                                  std::int64_t width, float* sums) {
  constexpr int kSums = 4;
  __m512 sum[kSums];
  SAFESAIL_UNROLL
  for (int i = 0; i < kSums; ++i) sum[i] = _mm512_setzero_ps();
  std::int64_t k = 0;
  for (; k + 32 * kSums <= width; k += 32 * kSums) {
    SAFESAIL_UNROLL
    for (int i = 0; i < kSums; ++i)
      sum[i] = _mm512_dpbf16_ps(sum[i], load(row + k + 32 * i), load(x + k + 32 * i));
  }
  for (; k + 32 <= width; k += 32) sum[0] = _mm512_dpbf16_ps(sum[0], load(row + k), load(x + k));
  if (k < width) {
    const __mmask32 inside = (__mmask32{1} << static_cast<int>(width - k)) - 1;
    sum[1] = _mm512_dpbf16_ps(sum[1], (__m512bh)_mm512_maskz_loadu_epi16(inside, row + k),
                              (__m512bh)_mm512_maskz_loadu_epi16(inside, x + k));
  }
  _mm512_storeu_ps(sums,
                   _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

void multiply_panels(const PairProduct& p) {
  for (std::size_t column = 0; column < p.columns; column += 32)
    for (std::size_t row = 0; row < p.rows; row += kRows)
      if (column + 32 <= p.columns)
        multiply_panel<2>(p, row, column);
      else
        multiply_panel<1>(p, row, column);
}

}  // namespace

void multiply_pairs(const PairProduct& p) {
  SAFESAIL_CHECK(p.rows % kRows == 0 && p.columns % 16 == 0);
  const std::size_t rows = has_amx_bf16() ? p.rows / 16 * 16 : 0, inner = p.inner / 16 * 16;
  if (rows == 0 || inner == 0) return multiply_panels(p);
  // Whole tiles first, then what is left of the inner dimension and of the rows.
  PairProduct tiles = p;
  tiles.rows = rows;
  tiles.inner = inner;
  multiply_tiles(tiles);
  if (inner < p.inner) {
    PairProduct rest = p;
    rest.rows = rows;
    rest.a += inner * p.a_inner;
    rest.b += inner * p.b_inner;
    rest.inner -= inner;
    rest.accumulate = true;
    multiply_panels(rest);
  }
  if (rows < p.rows) {
    PairProduct rest = p;
    rest.a += rows * p.a_row;
    rest.c += rows * p.c_row;
    rest.rows -= rows;
    multiply_panels(rest);
  }
}

void dot_rows_bf16(int n_rows, const std::uint16_t* weight, const std::uint16_t* x,
                   std::int64_t width, float* sums) {
  for (int r = 0; r < n_rows; ++r) dot_row(weight + r * width, x, width, sums + 16 * r);
}

#else

bool has_bf16_dot() {
  return false;
}

void multiply_pairs(const PairProduct&) {
  SAFESAIL_CHECK(false);
}

void dot_rows_bf16(int, const std::uint16_t*, const std::uint16_t*, std::int64_t, float*) {
  SAFESAIL_CHECK(false);
}

#endif

}  // namespace safesail::cpu
