// Products of the encoder as f32, whichever of f32 and bf16 they were computed in. For Highway's
// sources: included once for each instruction set.
#if defined(SAFESAIL_SAE_LOAD_F32_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFESAIL_SAE_LOAD_F32_INL_H_
#undef SAFESAIL_SAE_LOAD_F32_INL_H_
#else
#define SAFESAIL_SAE_LOAD_F32_INL_H_
#endif

#include <cstdint>
#include <hwy/highway.h>

#include "base/half.h"

HWY_BEFORE_NAMESPACE();
namespace safesail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;

HWY_INLINE hn::Vec<F32> load_f32(F32 f32, const float* pre) {
  return hn::LoadU(f32, pre);
}

HWY_INLINE hn::Vec<F32> load_f32(F32 f32, const std::uint16_t* pre) {
  const hn::RebindToUnsigned<F32> u32;
  const hn::Rebind<std::uint16_t, F32> u16;
  return hn::BitCast(f32, hn::ShiftLeft<16>(hn::PromoteTo(u32, hn::LoadU(u16, pre))));
}

inline float scalar_f32(float pre) {
  return pre;
}
inline float scalar_f32(std::uint16_t pre) {
  return safesail::float_of_bf16(pre);
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
