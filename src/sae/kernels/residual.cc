#include "sae/kernels/residual.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sae/kernels/residual.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace safesail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_ATTR ResidualSums sum_residual(const ColumnBlocks& z, std::int64_t block,
                                   const ColumnBlocks& residual, float* column_sums) {
  const hn::ScalableTag<double> f64;
  const hn::Rebind<float, decltype(f64)> f32;
  const auto lanes = std::int64_t(hn::Lanes(f64));
  const std::int64_t n = z.n_rows();
  const float* values = z.block(block);
  const float* errors = residual.block(block);
  HWY_ALIGN double sum[kBlockColumns], squares[kBlockColumns], error_sum[kBlockColumns],
      error_squares[kBlockColumns];
  for (std::int64_t c = 0; c < kBlockColumns; c += lanes) {
    auto s = hn::Zero(f64), s2 = s, e = s, e2 = s;
    for (std::int64_t i = c; i < n * kBlockColumns; i += kBlockColumns) {
      const auto value = hn::LoadU(f32, values + i);
      const auto error = hn::LoadU(f32, errors + i);
      const auto wide_value = hn::PromoteTo(f64, value), wide_error = hn::PromoteTo(f64, error);
      s = hn::Add(s, wide_value);
      s2 = hn::MulAdd(wide_value, wide_value, s2);
      e = hn::Add(e, wide_error);
      e2 = hn::MulAdd(wide_error, wide_error, e2);
    }
    hn::Store(s, f64, sum + c);
    hn::Store(s2, f64, squares + c);
    hn::Store(e, f64, error_sum + c);
    hn::Store(e2, f64, error_squares + c);
  }
  ResidualSums total;
  for (std::int64_t c = 0; c < z.width(block); ++c) {
    total.squared_error += error_squares[c];
    total.squared_deviation += squares[c] - sum[c] * sum[c] / double(n);
    column_sums[block * kBlockColumns + c] = float(error_sum[c]);
  }
  return total;
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail {
HWY_EXPORT(sum_residual);

ResidualSums sum_residual(const ColumnBlocks& z, std::int64_t block, const ColumnBlocks& residual,
                          float* column_sums) {
  return HWY_DYNAMIC_DISPATCH(sum_residual)(z, block, residual, column_sums);
}
}  // namespace safesail
#endif
