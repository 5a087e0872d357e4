#include "sae/kernels/topk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sae/kernels/topk.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#ifndef SAFESAIL_TOPK_ONCE
#define SAFESAIL_TOPK_ONCE
namespace safesail {

// Where candidates above the threshold are collected; capacity leaves room for one whole vector.
struct TopKCandidates {
  float* values;
  std::int32_t* features;
  std::size_t size;
  std::size_t capacity;
};

}  // namespace safesail
#endif

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
  return std::bit_cast<float>(std::uint32_t{pre} << 16);
}

// Collects from pre[0, n) until the end or until there is no room for another vector; returns how
// many were looked at.
template <class T>
HWY_ATTR std::size_t collect(const T* pre, const float* bias, std::size_t n,
                             std::int32_t first_feature, float threshold, TopKCandidates& out) {
  const F32 f32;
  const hn::RebindToSigned<F32> i32;
  const std::size_t lanes = hn::Lanes(f32);
  const auto above = hn::Set(f32, threshold);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto value = hn::Add(load_f32(f32, pre + i), hn::LoadU(f32, bias + i));
    const auto mask = hn::Gt(value, above);
    if (HWY_LIKELY(hn::AllFalse(f32, mask))) continue;
    if (out.size + lanes > out.capacity) return i;
    // Compress in the register: compressing straight to memory is microcoded on some CPUs.
    hn::StoreU(hn::Compress(value, mask), f32, out.values + out.size);
    const auto feature = hn::Iota(i32, first_feature + std::int32_t(i));
    hn::StoreU(hn::Compress(feature, hn::RebindMask(i32, mask)), i32, out.features + out.size);
    out.size += hn::CountTrue(f32, mask);
  }
  for (; i < n; ++i) {
    const float value = scalar_f32(pre[i]) + bias[i];
    if (!(value > threshold)) continue;
    if (out.size == out.capacity) return i;
    out.values[out.size] = value;
    out.features[out.size++] = first_feature + std::int32_t(i);
  }
  return n;
}

std::size_t collect_bf16(const std::uint16_t* pre, const float* bias, std::size_t n,
                         std::int32_t first_feature, float threshold, TopKCandidates& out) {
  return collect(pre, bias, n, first_feature, threshold, out);
}

std::size_t collect_f32(const float* pre, const float* bias, std::size_t n,
                        std::int32_t first_feature, float threshold, TopKCandidates& out) {
  return collect(pre, bias, n, first_feature, threshold, out);
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail {
namespace {

HWY_EXPORT(collect_bf16);
HWY_EXPORT(collect_f32);

std::size_t collect_any(const std::uint16_t* pre, const float* bias, std::size_t n,
                        std::int32_t first_feature, float threshold, TopKCandidates& out) {
  return HWY_DYNAMIC_DISPATCH(collect_bf16)(pre, bias, n, first_feature, threshold, out);
}

std::size_t collect_any(const float* pre, const float* bias, std::size_t n,
                        std::int32_t first_feature, float threshold, TopKCandidates& out) {
  return HWY_DYNAMIC_DISPATCH(collect_f32)(pre, bias, n, first_feature, threshold, out);
}

// Room beyond k before the k-th best is looked for again; at least one vector of any target.
std::size_t room_for(std::int64_t k) {
  return std::size_t(2 * k + 256);
}

}  // namespace

std::uint64_t topk_key(float value, std::int32_t feature) {
  return std::uint64_t{std::bit_cast<std::uint32_t>(value)} << 32 |
         (0xffffffffu - std::uint32_t(feature));
}

float value_of_key(std::uint64_t key) {
  return std::bit_cast<float>(std::uint32_t(key >> 32));
}

std::int32_t feature_of_key(std::uint64_t key) {
  return std::int32_t(0xffffffffu - std::uint32_t(key));
}

RunningTopK::RunningTopK(std::int64_t k) : k_(k), values_(room_for(k)), features_(room_for(k)) {}

void RunningTopK::restart() {
  size_ = 0;
  threshold_ = 0;
}

void RunningTopK::shrink() {
  keys_.resize(size_);
  for (std::size_t i = 0; i < size_; ++i) keys_[i] = topk_key(values_[i], features_[i]);
  if (size_ <= std::size_t(k_)) return;
  const auto kth = keys_.begin() + k_ - 1;
  std::nth_element(keys_.begin(), kth, keys_.end(), std::greater<>());
  keys_.resize(std::size_t(k_));
  size_ = keys_.size();
  threshold_ = value_of_key(keys_.back());
  for (std::size_t i = 0; i < size_; ++i) {
    values_[i] = value_of_key(keys_[i]);
    features_[i] = feature_of_key(keys_[i]);
  }
}

template <class T>
void RunningTopK::offer_any(std::span<const T> pre, const float* bias, std::int32_t first_feature) {
  TopKCandidates candidates{values_.data(), features_.data(), size_, values_.size()};
  for (std::size_t done = 0;;) {
    done += collect_any(pre.data() + done, bias + done, pre.size() - done,
                        first_feature + std::int32_t(done), threshold_, candidates);
    size_ = candidates.size;
    if (done == pre.size()) return;
    shrink();
    candidates.size = size_;
  }
}

void RunningTopK::offer(std::span<const std::uint16_t> pre, const float* bias,
                        std::int32_t first_feature) {
  offer_any(pre, bias, first_feature);
}

void RunningTopK::offer(std::span<const float> pre, const float* bias, std::int32_t first_feature) {
  offer_any(pre, bias, first_feature);
}

std::span<const std::uint64_t> RunningTopK::best() {
  shrink();
  return keys_;
}

}  // namespace safesail
#endif
