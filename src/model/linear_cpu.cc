#include "model/linear_cpu.h"

#include <algorithm>
#include <type_traits>

#include "model/dot_bf16.h"
#include "model/unroll.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/linear_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target, which defines what it needs.
#include "model/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safesail {
namespace HWY_NAMESPACE {

float to_float(float x) {
  return x;
}
float to_float(Bf16 x) {
  return hn::GetLane(load_n(F32(), &x, 1));
}

/// Rows of a group stay in the first cache while all tokens pass over them.
constexpr int kGroup = 4;

/// sums[r] = weight row r . x. One row after the other: memory gives one stream in order up to 2.4
/// times as fast as four rows at once (Zen 4). Four accumulators, so that none waits for itself.
template <class T>
HWY_INLINE void dot_rows(int n_rows, const T* weight, const T* x, std::int64_t width, float* sums) {
  constexpr int kSums = 4;
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (int r = 0; r < n_rows; ++r, weight += width) {
    VF sum[kSums];
    SAFESAIL_UNROLL
    for (int i = 0; i < kSums; ++i) sum[i] = hn::Zero(d);
    std::int64_t k = 0;
    for (; k + kSums * lanes <= width; k += kSums * lanes) {
      SAFESAIL_UNROLL
      for (int i = 0; i < kSums; ++i)
        sum[i] = hn::MulAdd(load(d, weight + k + i * lanes), load(d, x + k + i * lanes), sum[i]);
    }
    for (; k + lanes <= width; k += lanes)
      sum[0] = hn::MulAdd(load(d, weight + k), load(d, x + k), sum[0]);
    if (k < width) {
      const auto n = static_cast<std::size_t>(width - k);
      sum[1] = hn::MulAdd(load_n(d, weight + k, n), load_n(d, x + k, n), sum[1]);
    }
    const VF all = hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]));
    sums[r] = hn::GetLane(hn::SumOfLanes(d, all));
  }
}

HWY_INLINE void dot_rows_in_pairs(int n_rows, const Bf16* weight, const Bf16* x, std::int64_t width,
                                  float* sums) {
  const F32 d;
  float partial[kGroup * 16];
  cpu::dot_rows_bf16(n_rows, weight, x, width, partial);
  for (int r = 0; r < n_rows; ++r) {
    VF sum = hn::Zero(d);
    for (std::size_t i = 0; i < 16; i += hn::Lanes(d))
      sum = hn::Add(sum, hn::LoadU(d, partial + 16 * r + i));
    sums[r] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

template <class T>
void multiply_group(const cpu::FewTokens& a, std::int64_t row, int n_rows) {
  const F32 d;
  const T* weight = static_cast<const T*>(a.weight) + row * a.in;
  for (std::int64_t token = 0; token < a.n_tokens; ++token) {
    const T* x = static_cast<const T*>(a.x) + token * a.in;
    float sums[kGroup];
    if constexpr (std::is_same_v<T, Bf16>) {
      a.use_bf16_dot ? dot_rows_in_pairs(n_rows, weight, x, a.in, sums)
                     : dot_rows(n_rows, weight, x, a.in, sums);
    } else {
      dot_rows(n_rows, weight, x, a.in, sums);
    }
    T* result = static_cast<T*>(a.result) + token * a.out + row;
    for (int r = 0; r < n_rows; ++r) {
      const float bias = a.bias == nullptr ? 0 : to_float(static_cast<const T*>(a.bias)[row + r]);
      store_n(d, hn::Set(d, sums[r] + bias), result + r, 1);
    }
  }
}

template <class T>
void multiply_typed(const cpu::FewTokens& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; row += kGroup)
    multiply_group<T>(a, row, static_cast<int>(std::min<std::int64_t>(kGroup, end - row)));
}

void multiply_few(const cpu::FewTokens& a, std::int64_t begin, std::int64_t end) {
  a.bf16 ? multiply_typed<Bf16>(a, begin, end) : multiply_typed<float>(a, begin, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace safesail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail::cpu {

HWY_EXPORT(multiply_few);

void multiply_few(const FewTokens& args, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(multiply_few)(args, begin, end);
}

}  // namespace safesail::cpu
#endif
