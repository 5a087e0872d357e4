#include "sae/kernels/above.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sae/kernels/above.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "sae/kernels/load_f32-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safesail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Writes to `out`, which has room for n and one vector more; returns how many.
template <class T>
HWY_ATTR std::size_t above(const T* pre, const AboveBounds& bounds, float token_slack,
                           std::size_t n, std::int32_t first_feature, std::int32_t* out) {
  const F32 f32;
  const hn::RebindToSigned<F32> i32;
  const std::size_t lanes = hn::Lanes(f32);
  const auto slack = hn::Set(f32, token_slack);
  std::size_t size = 0, i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto value = hn::Add(load_f32(f32, pre + i), hn::LoadU(f32, bounds.bias + i));
    const auto bound =
        hn::NegMulAdd(slack, hn::LoadU(f32, bounds.slack + i), hn::LoadU(f32, bounds.lower + i));
    const auto mask = hn::Gt(value, bound);
    if (HWY_LIKELY(hn::AllFalse(f32, mask))) continue;
    const auto feature = hn::Iota(i32, first_feature + std::int32_t(i));
    hn::StoreU(hn::Compress(feature, hn::RebindMask(i32, mask)), i32, out + size);
    size += hn::CountTrue(f32, mask);
  }
  for (; i < n; ++i) {
    const float bound = bounds.lower[i] - token_slack * bounds.slack[i];
    if (scalar_f32(pre[i]) + bounds.bias[i] > bound) out[size++] = first_feature + std::int32_t(i);
  }
  return size;
}

std::size_t above_bf16(const std::uint16_t* pre, const AboveBounds& bounds, float token_slack,
                       std::size_t n, std::int32_t first_feature, std::int32_t* out) {
  return above(pre, bounds, token_slack, n, first_feature, out);
}

std::size_t above_f32(const float* pre, const AboveBounds& bounds, float token_slack, std::size_t n,
                      std::int32_t first_feature, std::int32_t* out) {
  return above(pre, bounds, token_slack, n, first_feature, out);
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail {
namespace {

HWY_EXPORT(above_bf16);
HWY_EXPORT(above_f32);

// A tile at a time goes through a small buffer, so that `out` grows by what was found alone.
template <class T, class Kernel>
void append(std::span<const T> pre, const AboveBounds& bounds, float token_slack,
            std::int32_t first_feature, std::vector<std::int32_t>& out, Kernel kernel) {
  constexpr std::size_t kTile = 1024, kLargestVector = 64;
  std::int32_t found[kTile + kLargestVector];
  for (std::size_t first = 0; first < pre.size(); first += kTile) {
    const AboveBounds here{bounds.bias + first, bounds.lower + first, bounds.slack + first};
    const std::size_t n =
        kernel(pre.data() + first, here, token_slack, std::min(kTile, pre.size() - first),
               first_feature + std::int32_t(first), found);
    out.insert(out.end(), found, found + n);
  }
}

}  // namespace

void append_above(std::span<const std::uint16_t> pre, const AboveBounds& bounds, float token_slack,
                  std::int32_t first_feature, std::vector<std::int32_t>& out) {
  append(pre, bounds, token_slack, first_feature, out, HWY_DYNAMIC_DISPATCH(above_bf16));
}

void append_above(std::span<const float> pre, const AboveBounds& bounds, float token_slack,
                  std::int32_t first_feature, std::vector<std::int32_t>& out) {
  append(pre, bounds, token_slack, first_feature, out, HWY_DYNAMIC_DISPATCH(above_f32));
}

}  // namespace safesail
#endif
