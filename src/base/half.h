// The two 16-bit floats, to and from f32, one number at a time: the only place that knows their
// bits. Loops over many of them in the hot kernels do the same with vectors (model/simd-inl.h,
// sae/kernels/vectors.cc).
#pragma once

#include <bit>
#include <cstdint>

namespace safesail {

/// IEEE half, exactly; without a branch, and without float subnormals, which a thread may flush to
/// zero.
inline float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = half & 0x7c00U;
  // Rebiasing the exponent adds 127 - 15; infinities and NaNs need that twice to reach 255.
  const std::uint32_t rebias = exponent == 0x7c00U ? 224U << 23 : 112U << 23;
  const std::uint32_t normal = ((half & 0x7fffU) << 13) + rebias;
  const auto mantissa = static_cast<std::int32_t>(half & 0x3ffU);
  const auto subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(mantissa) * 0x1p-24F);
  return std::bit_cast<float>(sign | (exponent == 0 ? subnormal : normal));
}

inline float float_of_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

/// To nearest, ties to even; a NaN stays one.
inline std::uint16_t bf16_of_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace safesail
