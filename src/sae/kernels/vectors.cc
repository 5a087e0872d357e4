#include "sae/kernels/vectors.h"

#include <cmath>

#include "base/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sae/kernels/vectors.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace safesail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;

HWY_ATTR float dot(const float* a, const float* b, std::int64_t n) {
  const F32 f32;
  const auto lanes = std::int64_t(hn::Lanes(f32));
  auto even = hn::Zero(f32), odd = even;
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even = hn::MulAdd(hn::LoadU(f32, a + i), hn::LoadU(f32, b + i), even);
    odd = hn::MulAdd(hn::LoadU(f32, a + i + lanes), hn::LoadU(f32, b + i + lanes), odd);
  }
  float sum = hn::GetLane(hn::SumOfLanes(f32, hn::Add(even, odd)));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

HWY_ATTR void add_scaled(float a, const float* x, std::int64_t n, float* y) {
  const F32 f32;
  const auto lanes = std::int64_t(hn::Lanes(f32));
  const auto factor = hn::Set(f32, a);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::MulAdd(factor, hn::LoadU(f32, x + i), hn::LoadU(f32, y + i)), f32, y + i);
  }
  for (; i < n; ++i) y[i] = std::fma(a, x[i], y[i]);
}

HWY_ATTR double sum_of_squares(const float* values, std::int64_t n) {
  const hn::ScalableTag<double> f64;
  const hn::Rebind<float, decltype(f64)> f32;
  const auto lanes = std::int64_t(hn::Lanes(f64));
  auto even = hn::Zero(f64), odd = even;
  std::int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto x = hn::PromoteTo(f64, hn::LoadU(f32, values + i));
    const auto y = hn::PromoteTo(f64, hn::LoadU(f32, values + i + lanes));
    even = hn::MulAdd(x, x, even);
    odd = hn::MulAdd(y, y, odd);
  }
  double sum = hn::GetLane(hn::SumOfLanes(f64, hn::Add(even, odd)));
  for (; i < n; ++i) sum += double(values[i]) * double(values[i]);
  return sum;
}

HWY_ATTR void round_to_bf16(const float* in, std::int64_t n, std::uint16_t* out) {
  const hn::ScalableTag<std::uint32_t> u32;
  const hn::Rebind<std::uint16_t, decltype(u32)> u16;
  const hn::RebindToSigned<decltype(u32)> i32;
  const hn::RebindToFloat<decltype(u32)> f32;
  const auto lanes = std::int64_t(hn::Lanes(u32));
  const auto half = hn::Set(u32, 0x7fff), one = hn::Set(u32, 1);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto bits = hn::BitCast(u32, hn::LoadU(f32, in + i));
    const auto odd = hn::And(hn::ShiftRight<16>(bits), one);
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(half, odd)));
    hn::StoreU(hn::DemoteTo(u16, hn::BitCast(i32, rounded)), u16, out + i);
  }
  for (; i < n; ++i) out[i] = bf16_of_float(in[i]);
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail {

HWY_EXPORT(dot);
HWY_EXPORT(add_scaled);
HWY_EXPORT(sum_of_squares);
HWY_EXPORT(round_to_bf16);

float dot(const float* a, const float* b, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(dot)(a, b, n);
}

void remove_parallel(const float* w, std::int64_t n, float* g) {
  add_scaled(-dot(g, w, n), w, n, g);
}

void normalise_row(std::int64_t n, float* w) {
  const double norm = std::sqrt(sum_of_squares(w, n));
  if (norm == 0) return;
  const auto factor = float(1 / norm);
  for (std::int64_t i = 0; i < n; ++i) w[i] *= factor;
}

double sum_of_squares(const float* values, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares)(values, n);
}

void add_scaled(float a, const float* x, std::int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(add_scaled)(a, x, n, y);
}

void round_to_bf16(const float* in, std::int64_t n, std::uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(round_to_bf16)(in, n, out);
}

}  // namespace safesail
#endif
