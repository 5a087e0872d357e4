// Loading and storing rows of f32 or bf16 as f32 vectors, tails included; for the kernels alone.
// Written once per instruction set by Highway (hence no `#pragma once`).
#if defined(SAFESAIL_MODEL_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFESAIL_MODEL_SIMD_INL_H
#undef SAFESAIL_MODEL_SIMD_INL_H
#else
#define SAFESAIL_MODEL_SIMD_INL_H
#endif

#include <cstddef>
#include <cstdint>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace safesail {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using VF = hn::Vec<F32>;

/// bf16 travels as its bits.
using Bf16 = std::uint16_t;

HWY_INLINE VF load(F32 d, const float* p) {
  return hn::LoadU(d, p);
}
HWY_INLINE VF load(F32 d, const Bf16* p) {
  const hn::Rebind<std::uint16_t, F32> d16;
  const hn::RebindToUnsigned<F32> d32;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, p))));
}

HWY_INLINE void store(F32 d, VF v, float* p) {
  hn::StoreU(v, d, p);
}
/// Rounds to nearest even.
HWY_INLINE void store(F32 /*d*/, VF v, Bf16* p) {
  const hn::Rebind<std::uint16_t, F32> d16;
  const hn::RebindToUnsigned<F32> d32;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7fff))));
  hn::StoreU(hn::TruncateTo(d16, rounded), d16, p);
}

/// The first n <= Lanes(d) elements; zeros (load) or nothing (store) beyond.
template <class T>
HWY_INLINE VF load_n(F32 d, const T* p, std::size_t n) {
  if (n >= hn::Lanes(d)) return load(d, p);
  T buffer[HWY_MAX_BYTES / sizeof(float)] = {};
  for (std::size_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(d, buffer);
}
template <class T>
HWY_INLINE void store_n(F32 d, VF v, T* p, std::size_t n) {
  if (n >= hn::Lanes(d)) return store(d, v, p);
  T buffer[HWY_MAX_BYTES / sizeof(float)];
  store(d, v, buffer);
  for (std::size_t i = 0; i < n; ++i) p[i] = buffer[i];
}

/// 1 / (1 + exp(-x)). Below -87 it is 1e-38, where exp(-x) nears the end of f32 and hn::Exp, which
/// does not stop there, would wrap around.
HWY_INLINE VF sigmoid(F32 d, VF x) {
  const VF one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(hn::Max(hn::Set(d, -87.0f), x)))));
}

/// cap * tanh(x / cap), by way of the sigmoid.
HWY_INLINE VF softcap(F32 d, VF x, float cap) {
  const VF two_sigmoid = hn::Mul(hn::Set(d, 2.0f), sigmoid(d, hn::Mul(x, hn::Set(d, 2.0f / cap))));
  return hn::Mul(hn::Set(d, cap), hn::Sub(two_sigmoid, hn::Set(d, 1.0f)));
}

}  // namespace HWY_NAMESPACE
}  // namespace safesail
HWY_AFTER_NAMESPACE();

#endif
