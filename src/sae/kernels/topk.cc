#include "sae/kernels/topk.h"

#include <bit>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sae/kernels/topk.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "sae/kernels/load_f32-inl.h"

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

// How many of values[0, n) have bits >= bound. Positive floats order like their bits.
HWY_ATTR std::size_t count_from(const float* values, std::size_t n, std::int32_t bound) {
  const hn::ScalableTag<std::int32_t> i32;
  const std::size_t lanes = hn::Lanes(i32);
  const auto* bits = reinterpret_cast<const std::int32_t*>(values);
  const auto below = hn::Set(i32, bound - 1);
  std::size_t count = 0, i = 0;
  for (; i + lanes <= n; i += lanes) {
    count += hn::CountTrue(i32, hn::Gt(hn::LoadU(i32, bits + i), below));
  }
  for (; i < n; ++i) count += bits[i] >= bound;
  return count;
}

// Keeps the k best of out (size >= k), in their order; of equal ones the first. Returns the lowest
// value kept, or a bound just below it.
HWY_ATTR float keep_best(std::size_t k, TopKCandidates& out) {
  // Bisection for the k-th largest bits: at least k values are >= low, fewer than k are >= high.
  std::int32_t low = 1, high = std::bit_cast<std::int32_t>(HUGE_VALF) + 1;
  std::size_t n_low = out.size, n_high = 0;
  while (n_low != k && high - low > 1) {
    const std::int32_t middle = low + (high - low) / 2;
    const std::size_t n = count_from(out.values, out.size, middle);
    (n >= k ? low : high) = middle;
    (n >= k ? n_low : n_high) = n;
  }
  // Of the values equal to `low` only as many stay as there is room for.
  std::size_t ties = n_low == k ? k : k - n_high;
  const F32 f32;
  const hn::RebindToSigned<F32> i32;
  const std::size_t lanes = hn::Lanes(f32);
  const auto* bits = reinterpret_cast<const std::int32_t*>(out.values);
  const auto limit = hn::Set(i32, low), below = hn::Set(i32, low - 1);
  std::size_t kept = 0, i = 0;
  const auto keep_one_by_one = [&](std::size_t end) {
    for (; i < end; ++i) {
      const std::int32_t here = bits[i];
      if (here < low || (here == low && ties == 0)) continue;
      if (here == low) --ties;
      out.values[kept] = out.values[i];
      out.features[kept++] = out.features[i];
    }
  };
  while (i + lanes <= out.size) {
    const auto value = hn::LoadU(i32, bits + i);
    const std::size_t n_equal = hn::CountTrue(i32, hn::Eq(value, limit));
    if (n_equal > ties) {
      keep_one_by_one(i + lanes);
      continue;
    }
    ties -= n_equal;
    // In place: what is stored never reaches beyond what was loaded.
    const auto mask = hn::Gt(value, below);
    const auto features = hn::Compress(hn::LoadU(i32, out.features + i), mask);
    hn::StoreU(hn::BitCast(f32, hn::Compress(value, mask)), f32, out.values + kept);
    hn::StoreU(features, i32, out.features + kept);
    kept += hn::CountTrue(i32, mask);
    i += lanes;
  }
  keep_one_by_one(out.size);
  out.size = kept;
  return std::bit_cast<float>(low);
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail {
namespace {

HWY_EXPORT(collect_bf16);
HWY_EXPORT(collect_f32);
HWY_EXPORT(keep_best);

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

RunningTopK::RunningTopK(std::int64_t k)
    : k_(std::size_t(k)), values_(room_for(k)), features_(room_for(k)) {}

void RunningTopK::keep_best() {
  if (size_ <= k_) return;
  TopKCandidates candidates{values_.data(), features_.data(), size_, values_.size()};
  threshold_ = HWY_DYNAMIC_DISPATCH(keep_best)(k_, candidates);
  size_ = candidates.size;
}

template <class T>
void RunningTopK::offer_any(std::span<const T> pre, const float* bias, std::int32_t first_feature) {
  TopKCandidates candidates{values_.data(), features_.data(), size_, values_.size()};
  for (std::size_t done = 0;;) {
    done += collect_any(pre.data() + done, bias + done, pre.size() - done,
                        first_feature + std::int32_t(done), threshold_, candidates);
    size_ = candidates.size;
    if (done == pre.size()) return;
    keep_best();
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

std::span<const std::int32_t> RunningTopK::best() {
  keep_best();
  return std::span(features_).first(size_);
}

}  // namespace safesail
#endif
