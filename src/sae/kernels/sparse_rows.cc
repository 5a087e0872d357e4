#include "sae/kernels/sparse_rows.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sae/kernels/sparse_rows.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace safesail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Columns [64 block, +64) of row `row`, by way of `padded` where the row ends inside them.
inline const float* row_block(const float* w, std::int64_t row, std::int64_t block,
                              const ColumnBlocks& shape, float* padded) {
  const float* start = w + row * shape.n_columns() + block * kBlockColumns;
  const std::int64_t width = shape.width(block);
  if (width == kBlockColumns) return start;
  std::memcpy(padded, start, std::size_t(width) * sizeof(float));
  return padded;
}

HWY_ATTR void pair_dots(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                        const float* w, const ColumnBlocks& x, float* out) {
  const hn::ScalableTag<float> f32;
  const auto n = std::int64_t(hn::Lanes(f32));
  HWY_ALIGN float padded[kBlockColumns] = {};
  const std::int64_t from = pairs.offsets[std::size_t(first)];
  std::fill_n(out, pairs.offsets[std::size_t(last)] - from, 0.0f);
  for (std::int64_t block = 0; block < x.n_blocks(); ++block) {
    const float* columns = x.block(block);
    for (std::int64_t feature = first; feature < last; ++feature) {
      const std::int64_t begin = pairs.offsets[std::size_t(feature)];
      const std::int64_t end = pairs.offsets[std::size_t(feature) + 1];
      if (begin == end) continue;
      const float* row = row_block(w, feature, block, x, padded);
      for (std::int64_t c = 0; c < kBlockColumns; c += 4 * n) {
        const auto w0 = hn::LoadU(f32, row + c), w1 = hn::LoadU(f32, row + c + n);
        const auto w2 = hn::LoadU(f32, row + c + 2 * n), w3 = hn::LoadU(f32, row + c + 3 * n);
        for (std::int64_t p = begin; p < end; ++p) {
          const float* v = columns + pairs.tokens[std::size_t(p)] * kBlockColumns + c;
          auto low = hn::Mul(w0, hn::Load(f32, v));
          auto high = hn::Mul(w1, hn::Load(f32, v + n));
          low = hn::MulAdd(w2, hn::Load(f32, v + 2 * n), low);
          high = hn::MulAdd(w3, hn::Load(f32, v + 3 * n), high);
          out[p - from] += hn::GetLane(hn::SumOfLanes(f32, hn::Add(low, high)));
        }
      }
    }
  }
}

HWY_ATTR void pair_dots_and_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                                 const float* w, const float* coefficients, const ColumnBlocks& x,
                                 float* dots, float* sums) {
  const hn::ScalableTag<float> f32;
  const auto n = std::int64_t(hn::Lanes(f32));
  HWY_ALIGN float padded[kBlockColumns] = {}, sum[kBlockColumns];
  const std::int64_t from = pairs.offsets[std::size_t(first)];
  std::fill_n(dots, pairs.offsets[std::size_t(last)] - from, 0.0f);
  for (std::int64_t block = 0; block < x.n_blocks(); ++block) {
    const float* columns = x.block(block);
    for (std::int64_t feature = first; feature < last; ++feature) {
      const std::int64_t begin = pairs.offsets[std::size_t(feature)];
      const std::int64_t end = pairs.offsets[std::size_t(feature) + 1];
      const float* row = row_block(w, feature, block, x, padded);
      for (std::int64_t c = 0; c < kBlockColumns; c += 4 * n) {
        const auto w0 = hn::LoadU(f32, row + c), w1 = hn::LoadU(f32, row + c + n);
        const auto w2 = hn::LoadU(f32, row + c + 2 * n), w3 = hn::LoadU(f32, row + c + 3 * n);
        auto s0 = hn::Zero(f32), s1 = s0, s2 = s0, s3 = s0;
        for (std::int64_t p = begin; p < end; ++p) {
          const float* v = columns + pairs.tokens[std::size_t(p)] * kBlockColumns + c;
          const auto a = hn::Set(f32, coefficients[p - from]);
          const auto v0 = hn::Load(f32, v), v1 = hn::Load(f32, v + n);
          const auto v2 = hn::Load(f32, v + 2 * n), v3 = hn::Load(f32, v + 3 * n);
          const auto low = hn::MulAdd(w2, v2, hn::Mul(w0, v0));
          const auto high = hn::MulAdd(w3, v3, hn::Mul(w1, v1));
          dots[p - from] += hn::GetLane(hn::SumOfLanes(f32, hn::Add(low, high)));
          s0 = hn::MulAdd(a, v0, s0);
          s1 = hn::MulAdd(a, v1, s1);
          s2 = hn::MulAdd(a, v2, s2);
          s3 = hn::MulAdd(a, v3, s3);
        }
        hn::Store(s0, f32, sum + c);
        hn::Store(s1, f32, sum + c + n);
        hn::Store(s2, f32, sum + c + 2 * n);
        hn::Store(s3, f32, sum + c + 3 * n);
      }
      std::memcpy(sums + (feature - first) * x.n_columns() + block * kBlockColumns, sum,
                  std::size_t(x.width(block)) * sizeof(float));
    }
  }
}

HWY_ATTR void pair_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                        const float* coefficients, const ColumnBlocks& x, float* out) {
  const hn::ScalableTag<float> f32;
  const auto n = std::int64_t(hn::Lanes(f32));
  HWY_ALIGN float sums[kBlockColumns];
  const std::int64_t from = pairs.offsets[std::size_t(first)];
  for (std::int64_t block = 0; block < x.n_blocks(); ++block) {
    const float* columns = x.block(block);
    for (std::int64_t feature = first; feature < last; ++feature) {
      const std::int64_t begin = pairs.offsets[std::size_t(feature)];
      const std::int64_t end = pairs.offsets[std::size_t(feature) + 1];
      for (std::int64_t c = 0; c < kBlockColumns; c += 4 * n) {
        auto s0 = hn::Zero(f32), s1 = s0, s2 = s0, s3 = s0;
        for (std::int64_t p = begin; p < end; ++p) {
          const auto a = hn::Set(f32, coefficients[p - from]);
          const float* v = columns + pairs.tokens[std::size_t(p)] * kBlockColumns + c;
          s0 = hn::MulAdd(a, hn::Load(f32, v), s0);
          s1 = hn::MulAdd(a, hn::Load(f32, v + n), s1);
          s2 = hn::MulAdd(a, hn::Load(f32, v + 2 * n), s2);
          s3 = hn::MulAdd(a, hn::Load(f32, v + 3 * n), s3);
        }
        hn::Store(s0, f32, sums + c);
        hn::Store(s1, f32, sums + c + n);
        hn::Store(s2, f32, sums + c + 2 * n);
        hn::Store(s3, f32, sums + c + 3 * n);
      }
      std::memcpy(out + (feature - first) * x.n_columns() + block * kBlockColumns, sums,
                  std::size_t(x.width(block)) * sizeof(float));
    }
  }
}

HWY_ATTR void pair_spread(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                          const float* coefficients, float sign, const float* w, std::int64_t block,
                          ColumnBlocks& y) {
  const hn::ScalableTag<float> f32;
  const auto n = std::int64_t(hn::Lanes(f32));
  HWY_ALIGN float padded[kBlockColumns] = {};
  const std::int64_t from = pairs.offsets[std::size_t(first)];
  float* columns = y.block(block);
  for (std::int64_t feature = first; feature < last; ++feature) {
    const std::int64_t begin = pairs.offsets[std::size_t(feature)];
    const std::int64_t end = pairs.offsets[std::size_t(feature) + 1];
    if (begin == end) continue;
    const float* row = row_block(w, feature, block, y, padded);
    for (std::int64_t c = 0; c < kBlockColumns; c += 4 * n) {
      const auto w0 = hn::LoadU(f32, row + c), w1 = hn::LoadU(f32, row + c + n);
      const auto w2 = hn::LoadU(f32, row + c + 2 * n), w3 = hn::LoadU(f32, row + c + 3 * n);
      for (std::int64_t p = begin; p < end; ++p) {
        const auto a = hn::Set(f32, sign * coefficients[p - from]);
        float* v = columns + pairs.tokens[std::size_t(p)] * kBlockColumns + c;
        hn::Store(hn::MulAdd(a, w0, hn::Load(f32, v)), f32, v);
        hn::Store(hn::MulAdd(a, w1, hn::Load(f32, v + n)), f32, v + n);
        hn::Store(hn::MulAdd(a, w2, hn::Load(f32, v + 2 * n)), f32, v + 2 * n);
        hn::Store(hn::MulAdd(a, w3, hn::Load(f32, v + 3 * n)), f32, v + 3 * n);
      }
    }
  }
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail {
HWY_EXPORT(pair_dots);
HWY_EXPORT(pair_dots_and_sums);
HWY_EXPORT(pair_sums);
HWY_EXPORT(pair_spread);

void pair_dots(const ByFeature& pairs, std::int64_t first, std::int64_t last, const float* w,
               const ColumnBlocks& x, float* out) {
  HWY_DYNAMIC_DISPATCH(pair_dots)(pairs, first, last, w, x, out);
}

void pair_dots_and_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                        const float* w, const float* coefficients, const ColumnBlocks& x,
                        float* dots, float* sums) {
  HWY_DYNAMIC_DISPATCH(pair_dots_and_sums)
  (pairs, first, last, w, coefficients, x, dots, sums);
}

void pair_sums(const ByFeature& pairs, std::int64_t first, std::int64_t last,
               const float* coefficients, const ColumnBlocks& x, float* out) {
  HWY_DYNAMIC_DISPATCH(pair_sums)(pairs, first, last, coefficients, x, out);
}

void pair_spread(const ByFeature& pairs, std::int64_t first, std::int64_t last,
                 const float* coefficients, float sign, const float* w, std::int64_t block,
                 ColumnBlocks& y) {
  HWY_DYNAMIC_DISPATCH(pair_spread)
  (pairs, first, last, coefficients, sign, w, block, y);
}
}  // namespace safesail
#endif
