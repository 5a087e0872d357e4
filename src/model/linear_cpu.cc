#include "model/linear_cpu.h"

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

/// sums[r] = weight row r . x
template <int kRows, class T>
HWY_INLINE void dot_rows(const T* weight, const T* x, std::int64_t width, float* sums) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  VF sum[kRows];
  SAFESAIL_UNROLL
  for (int r = 0; r < kRows; ++r) sum[r] = hn::Zero(d);
  std::int64_t k = 0;
  for (; k + lanes <= width; k += lanes) {
    const VF right = load(d, x + k);
    SAFESAIL_UNROLL
    for (int r = 0; r < kRows; ++r)
      sum[r] = hn::MulAdd(load(d, weight + r * width + k), right, sum[r]);
  }
  if (k < width) {
    const auto n = static_cast<std::size_t>(width - k);
    const VF right = load_n(d, x + k, n);
    SAFESAIL_UNROLL
    for (int r = 0; r < kRows; ++r)
      sum[r] = hn::MulAdd(load_n(d, weight + r * width + k, n), right, sum[r]);
  }
  SAFESAIL_UNROLL
  for (int r = 0; r < kRows; ++r) sums[r] = hn::GetLane(hn::SumOfLanes(d, sum[r]));
}

template <int kRows>
HWY_INLINE void dot_rows_in_pairs(const Bf16* weight, const Bf16* x, std::int64_t width,
                                  float* sums) {
  const F32 d;
  float partial[kRows * 16];
  cpu::dot_rows_bf16(kRows, weight, x, width, partial);
  for (std::size_t r = 0; r < kRows; ++r) {
    VF sum = hn::Zero(d);
    for (std::size_t i = 0; i < 16; i += hn::Lanes(d))
      sum = hn::Add(sum, hn::LoadU(d, partial + 16 * r + i));
    sums[r] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

/// The rows of a group stay in the first cache while all tokens pass over them.
template <int kRows, class T>
void multiply_group(const cpu::FewTokens& a, std::int64_t row) {
  const F32 d;
  const T* weight = static_cast<const T*>(a.weight) + row * a.in;
  for (std::int64_t token = 0; token < a.n_tokens; ++token) {
    const T* x = static_cast<const T*>(a.x) + token * a.in;
    float sums[kRows];
    if constexpr (std::is_same_v<T, Bf16>) {
      a.use_bf16_dot ? dot_rows_in_pairs<kRows>(weight, x, a.in, sums)
                     : dot_rows<kRows>(weight, x, a.in, sums);
    } else {
      dot_rows<kRows>(weight, x, a.in, sums);
    }
    T* result = static_cast<T*>(a.result) + token * a.out + row;
    for (int r = 0; r < kRows; ++r) {
      const float bias = a.bias == nullptr ? 0 : to_float(static_cast<const T*>(a.bias)[row + r]);
      store_n(d, hn::Set(d, sums[r] + bias), result + r, 1);
    }
  }
}

template <class T>
void multiply_typed(const cpu::FewTokens& a, std::int64_t begin, std::int64_t end) {
  std::int64_t row = begin;
  for (; row + 4 <= end; row += 4) multiply_group<4, T>(a, row);
  for (; row < end; ++row) multiply_group<1, T>(a, row);
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
