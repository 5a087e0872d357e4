#include "sae/kernels/adam.h"

#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sae/kernels/adam.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace safesail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;

// The last n % lanes values go through zero-padded copies, so that one body serves every length.
struct Tail {
  HWY_ALIGN float values[HWY_MAX_BYTES / sizeof(float)] = {};
  Tail(const float* from, std::int64_t n) {
    std::memcpy(values, from, std::size_t(n) * sizeof(float));
  }
  void put(float* to, std::int64_t n) const {
    std::memcpy(to, values, std::size_t(n) * sizeof(float));
  }
};

HWY_INLINE void adam_vector(const AdamStep& step, F32 f32, const float* g, float* w, float* m,
                            float* v) {
  const auto gradient = hn::Mul(hn::LoadU(f32, g), hn::Set(f32, step.gradient_scale));
  const auto first = hn::MulAdd(hn::Set(f32, step.beta1), hn::LoadU(f32, m),
                                hn::Mul(hn::Set(f32, 1 - step.beta1), gradient));
  const auto second =
      hn::MulAdd(hn::Set(f32, step.beta2), hn::LoadU(f32, v),
                 hn::Mul(hn::Set(f32, 1 - step.beta2), hn::Mul(gradient, gradient)));
  const auto divisor =
      hn::MulAdd(hn::Sqrt(second), hn::Set(f32, step.inverse_root), hn::Set(f32, step.epsilon));
  const auto move = hn::Div(hn::Mul(hn::Set(f32, step.step_size), first), divisor);
  hn::StoreU(first, f32, m);
  hn::StoreU(second, f32, v);
  hn::StoreU(hn::Sub(hn::LoadU(f32, w), move), f32, w);
}

HWY_ATTR void adam_row(const AdamStep& step, const float* g, std::int64_t n, float* w, float* m,
                       float* v) {
  const F32 f32;
  const auto lanes = std::int64_t(hn::Lanes(f32));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) adam_vector(step, f32, g + i, w + i, m + i, v + i);
  if (i == n) return;
  Tail tail_g(g + i, n - i), tail_w(w + i, n - i), tail_m(m + i, n - i), tail_v(v + i, n - i);
  adam_vector(step, f32, tail_g.values, tail_w.values, tail_m.values, tail_v.values);
  tail_w.put(w + i, n - i);
  tail_m.put(m + i, n - i);
  tail_v.put(v + i, n - i);
}

}  // namespace safesail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail {

HWY_EXPORT(adam_row);

AdamStep AdamStep::at(double beta1, double beta2, double epsilon, double lr, std::int64_t t) {
  return {.beta1 = float(beta1),
          .beta2 = float(beta2),
          .epsilon = float(epsilon),
          .step_size = float(lr / (1 - std::pow(beta1, double(t)))),
          .inverse_root = float(1 / std::sqrt(1 - std::pow(beta2, double(t))))};
}

void adam_row(const AdamStep& step, const float* g, std::int64_t n, float* w, float* m, float* v) {
  HWY_DYNAMIC_DISPATCH(adam_row)(step, g, n, w, m, v);
}

}  // namespace safesail
#endif
