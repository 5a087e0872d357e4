#include "model/amx_bf16.h"

#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "model/unroll.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define SAFESAIL_AMX_TARGET __attribute__((target("avx512f,amx-tile,amx-bf16")))
#endif

namespace safesail::cpu {

#if defined(__x86_64__) && defined(__linux__)

bool has_amx_bf16() {
  if (!cpu_multiplies_bf16()) return false;
  static const bool has = [] {
    constexpr unsigned kBf16 = 1U << 22, kTile = 1U << 24;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kBf16) == 0 || (d & kTile) == 0)
      return false;
    // Linux saves the tiles of those processes only that ask for it.
    constexpr long kRequestPermission = 0x1023, kTileData = 18;
    return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return has;
}

namespace {

constexpr std::size_t kTile = 16;  // rows of a tile, and its lanes of 32 bits

/// Eight tiles of 16 x 64 bytes: 0 to 3 for 2 x 2 of C, 4 and 5 for A, 6 and 7 for B.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

constexpr int stride_of(std::size_t lanes) {
  return static_cast<int>(lanes * 4);
}

/// kTwoRows x kTwoColumns tiles of C.
template <bool kTwoRows, bool kTwoColumns>
SAFESAIL_AMX_TARGET void multiply_block(const PairProduct& p, std::size_t row, std::size_t column) {
  float* const c = p.c + row * p.c_row + column;
  float* const c_below = c + kTile * p.c_row;
  const int c_stride = stride_of(p.c_row), a_stride = stride_of(p.a_row),
            b_stride = stride_of(p.b_inner);
  if (p.accumulate) {
    _tile_loadd(0, c, c_stride);
    if constexpr (kTwoColumns) _tile_loadd(1, c + kTile, c_stride);
    if constexpr (kTwoRows) _tile_loadd(2, c_below, c_stride);
    if constexpr (kTwoRows && kTwoColumns) _tile_loadd(3, c_below + kTile, c_stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const std::uint32_t* a = p.a + row * p.a_row;
  const std::uint32_t* b = p.b + column;
  for (std::size_t k = 0; k < p.inner; k += kTile, a += kTile, b += kTile * p.b_inner) {
    _tile_loadd(4, a, a_stride);
    _tile_loadd(6, b, b_stride);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kTwoColumns) {
      _tile_loadd(7, b + kTile, b_stride);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kTwoRows) {
      _tile_loadd(5, a + kTile * p.a_row, a_stride);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (kTwoRows && kTwoColumns) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_stride);
  if constexpr (kTwoColumns) _tile_stored(1, c + kTile, c_stride);
  if constexpr (kTwoRows) _tile_stored(2, c_below, c_stride);
  if constexpr (kTwoRows && kTwoColumns) _tile_stored(3, c_below + kTile, c_stride);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // of the shuffles' own header: GCC bug 105593
/// out[i][j] = in[j][i] of 16 x 16 lanes.
SAFESAIL_AMX_TARGET void transpose(const std::uint32_t* in, std::size_t in_row, std::uint32_t* out,
                                   std::size_t out_row) {
  __m512i v[kTile], w[kTile];
  SAFESAIL_UNROLL
  for (std::size_t i = 0; i < kTile; ++i) v[i] = _mm512_loadu_si512(in + i * in_row);
  // Within the four quarters of each register: 4 x 4 lanes of four rows.
  SAFESAIL_UNROLL
  for (std::size_t i = 0; i < kTile; i += 2) {
    w[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    w[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  SAFESAIL_UNROLL
  for (std::size_t i = 0; i < kTile; i += 4) {
    v[i] = _mm512_unpacklo_epi64(w[i], w[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(w[i], w[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(w[i + 1], w[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(w[i + 1], w[i + 3]);
  }
  // Then 4 x 4 quarters: quarter q of v[4 r + i] becomes quarter r of row 4 q + i.
  SAFESAIL_UNROLL
  for (std::size_t i = 0; i < 4; ++i) {
    const __m512i even_top = _mm512_shuffle_i32x4(v[i], v[4 + i], 0x88),
                  odd_top = _mm512_shuffle_i32x4(v[i], v[4 + i], 0xdd),
                  even_low = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0x88),
                  odd_low = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0xdd);
    w[i] = _mm512_shuffle_i32x4(even_top, even_low, 0x88);
    w[8 + i] = _mm512_shuffle_i32x4(even_top, even_low, 0xdd);
    w[4 + i] = _mm512_shuffle_i32x4(odd_top, odd_low, 0x88);
    w[12 + i] = _mm512_shuffle_i32x4(odd_top, odd_low, 0xdd);
  }
  SAFESAIL_UNROLL
  for (std::size_t i = 0; i < kTile; ++i) _mm512_storeu_si512(out + i * out_row, w[i]);
}
#pragma GCC diagnostic pop

/// A with its rows side by side in memory, as tiles are loaded; good until the thread's next call.
const std::uint32_t* rows_of_a(const PairProduct& p) {
  thread_local std::vector<std::uint32_t> rows;
  rows.resize(p.rows * p.inner);
  for (std::size_t row = 0; row < p.rows; row += kTile)
    for (std::size_t k = 0; k < p.inner; k += kTile)
      transpose(p.a + row + k * p.a_inner, p.a_inner, rows.data() + row * p.inner + k, p.inner);
  return rows.data();
}

SAFESAIL_AMX_TARGET void multiply_rows(const PairProduct& p) {
  const TileConfig config;
  _tile_loadconfig(&config);
  for (std::size_t row = 0; row < p.rows; row += 2 * kTile)
    for (std::size_t column = 0; column < p.columns; column += 2 * kTile) {
      const bool two_rows = row + kTile < p.rows, two_columns = column + kTile < p.columns;
      if (two_rows && two_columns)
        multiply_block<true, true>(p, row, column);
      else if (two_rows)
        multiply_block<true, false>(p, row, column);
      else if (two_columns)
        multiply_block<false, true>(p, row, column);
      else
        multiply_block<false, false>(p, row, column);
    }
  _tile_release();
}

}  // namespace

void multiply_tiles(const PairProduct& p) {
  SAFESAIL_CHECK(p.rows % kTile == 0 && p.columns % kTile == 0 && p.inner % kTile == 0);
  if (p.a_inner == 1) return multiply_rows(p);
  SAFESAIL_CHECK(p.a_row == 1);
  PairProduct packed = p;
  packed.a = rows_of_a(p);
  packed.a_row = p.inner;
  packed.a_inner = 1;
  multiply_rows(packed);
}

#else

bool has_amx_bf16() {
  return false;
}

void multiply_tiles(const PairProduct&) {
  SAFESAIL_CHECK(false);
}

#endif

}  // namespace safesail::cpu
