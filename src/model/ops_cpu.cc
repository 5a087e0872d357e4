#include "model/ops_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/ops_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target, which defines what it needs.
#include "model/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safesail {
namespace HWY_NAMESPACE {

using cpu::DivergenceRows;
using cpu::GateRows;
using cpu::LossRows;
using cpu::NormRows;
using cpu::RotateRows;

/// Calls f(i, n) for every vector of `width` elements; n < Lanes in the last.
template <class F>
HWY_INLINE void for_vectors(std::int64_t width, F f) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  std::int64_t i = 0;
  for (; i + lanes <= width; i += lanes) f(i, static_cast<std::size_t>(lanes));
  if (i < width) f(i, static_cast<std::size_t>(width - i));
}

template <class T>
void norm_typed(const NormRows& a, std::int64_t begin, std::int64_t end) {
  const F32 d;
  std::vector<float> row(static_cast<std::size_t>(a.width) + hn::Lanes(d));
  const float inv_width = 1.0f / static_cast<float>(a.width);
  for (std::int64_t r = begin; r < end; ++r) {
    T* x = static_cast<T*>(a.x) + r * a.width;
    const T* delta = a.delta == nullptr ? nullptr : static_cast<const T*>(a.delta) + r * a.width;
    T* out = static_cast<T*>(a.out) + r * a.width;
    VF sum = hn::Zero(d), squares = hn::Zero(d);
    for_vectors(a.width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
      VF v = load_n(d, x + i, n);
      if (delta != nullptr) {
        // What the norm sees is the stored, rounded sum.
        store_n(d, hn::Add(v, load_n(d, delta + i, n)), x + i, n);
        v = load_n(d, x + i, n);
      }
      hn::StoreU(v, d, row.data() + i);
      sum = hn::Add(sum, v);
      squares = hn::MulAdd(v, v, squares);
    });
    float mean = 0, variance;
    if (a.kind == NormKind::layer) {
      mean = hn::GetLane(hn::SumOfLanes(d, sum)) * inv_width;
      squares = hn::Zero(d);
      for_vectors(a.width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
        const VF centred = hn::Sub(hn::LoadU(d, row.data() + i), hn::Set(d, mean));
        const VF kept = hn::IfThenElseZero(hn::FirstN(d, n), centred);
        squares = hn::MulAdd(kept, kept, squares);
      });
    }
    variance = hn::GetLane(hn::SumOfLanes(d, squares)) * inv_width;
    const VF scale = hn::Set(d, 1.0f / std::sqrt(variance + a.eps)), shift = hn::Set(d, mean);
    for_vectors(a.width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
      VF v = hn::Mul(hn::Sub(hn::LoadU(d, row.data() + i), shift), scale);
      v = hn::Mul(v, load_n(d, a.weight + i, n));
      if (a.bias != nullptr) v = hn::Add(v, load_n(d, a.bias + i, n));
      store_n(d, v, out + i, n);
    });
  }
}

/// One head in `row` (f32, padded): RMS norm where `weight` is given.
HWY_INLINE void norm_head(float* row, std::int64_t width, const float* weight, float eps) {
  const F32 d;
  VF squares = hn::Zero(d);
  for_vectors(width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
    const VF v = load_n(d, row + i, n);
    squares = hn::MulAdd(v, v, squares);
  });
  const float mean = hn::GetLane(hn::SumOfLanes(d, squares)) / static_cast<float>(width);
  const VF scale = hn::Set(d, 1.0f / std::sqrt(mean + eps));
  for_vectors(width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
    store_n(d, hn::Mul(hn::Mul(load_n(d, row + i, n), scale), load_n(d, weight + i, n)), row + i,
            n);
  });
}

/// (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin)
template <class From, class To>
HWY_INLINE void rotate_head(const From* from, To* to, std::int64_t half, const float* cosine,
                            const float* sine) {
  const F32 d;
  for_vectors(half, [&](std::int64_t i, std::size_t n) HWY_ATTR {
    const VF x1 = load_n(d, from + i, n), x2 = load_n(d, from + half + i, n);
    const VF c = load_n(d, cosine + i, n), s = load_n(d, sine + i, n);
    store_n(d, hn::NegMulAdd(x2, s, hn::Mul(x1, c)), to + i, n);
    store_n(d, hn::MulAdd(x1, s, hn::Mul(x2, c)), to + half + i, n);
  });
}

template <class T>
void rotate_typed(const RotateRows& a, std::int64_t begin, std::int64_t end) {
  const F32 d;
  std::vector<float> row(static_cast<std::size_t>(a.head_dim));
  for (std::int64_t r = begin; r < end; ++r) {
    const float* cosine = a.cosine + r * a.half;
    const float* sine = a.sine + r * a.half;
    for (std::int64_t h = 0; h < a.n_heads + a.n_kv_heads; ++h) {
      T* head = static_cast<T*>(a.qkv) + r * a.stride + h * a.head_dim;
      if (a.q_norm == nullptr) {
        rotate_head(head, head, a.half, cosine, sine);
        continue;
      }
      for_vectors(a.head_dim, [&](std::int64_t i, std::size_t n) HWY_ATTR {
        store_n(d, load_n(d, head + i, n), row.data() + i, n);
      });
      norm_head(row.data(), a.head_dim, h < a.n_heads ? a.q_norm : a.k_norm, a.eps);
      rotate_head(row.data(), row.data(), a.half, cosine, sine);
      for_vectors(a.head_dim, [&](std::int64_t i, std::size_t n) HWY_ATTR {
        store_n(d, load_n(d, row.data() + i, n), head + i, n);
      });
    }
  }
}

/// silu(x) = x sigmoid(x); gelu_tanh(x) = x (1 + tanh(u)) / 2 = x sigmoid(2u) with
/// u = sqrt(2 / pi) (x + 0.044715 x^3).
HWY_INLINE VF activate(F32 d, VF x, Activation activation) {
  VF at = x;
  if (activation == Activation::gelu_tanh) {
    const VF cubic = hn::MulAdd(hn::Mul(hn::Mul(x, x), x), hn::Set(d, 0.044715f), x);
    at = hn::Mul(cubic, hn::Set(d, 1.5957691216057308f));
  }
  return hn::Mul(x, sigmoid(d, at));
}

template <class T>
void gate_typed(const GateRows& a, std::int64_t begin, std::int64_t end) {
  const F32 d;
  for (std::int64_t r = begin; r < end; ++r) {
    const T* gate = static_cast<const T*>(a.gate_up) + r * 2 * a.width;
    const T* up = gate + a.width;
    T* out = static_cast<T*>(a.out) + r * a.width;
    for_vectors(a.width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
      const VF gated = activate(d, load_n(d, gate + i, n), a.activation);
      store_n(d, hn::Mul(gated, load_n(d, up + i, n)), out + i, n);
    });
  }
}

template <class T>
void loss_typed(const LossRows& a, std::int64_t begin, std::int64_t end) {
  const F32 d;
  const VF lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = a.width / lanes * lanes;
  const auto tail = static_cast<std::size_t>(a.width - whole);
  for (std::int64_t r = begin; r < end; ++r) {
    if (a.targets[r] < 0) continue;
    const T* row = static_cast<const T*>(a.logits) + r * a.width;
    const auto cap = [&](VF v) HWY_ATTR { return a.softcap > 0 ? softcap(d, v, a.softcap) : v; };
    const VF last = hn::IfThenElse(hn::FirstN(d, tail), cap(load_n(d, row + whole, tail)), lowest);
    VF highest = last;
    for (std::int64_t i = 0; i < whole; i += lanes)
      highest = hn::Max(highest, cap(load(d, row + i)));
    const float top = std::max(a.highest[r], hn::GetLane(hn::MaxOfLanes(d, highest)));
    const VF shift = hn::Set(d, top);
    VF sum = hn::Exp(d, hn::Sub(last, shift));
    for (std::int64_t i = 0; i < whole; i += lanes)
      sum = hn::Add(sum, hn::Exp(d, hn::Sub(cap(load(d, row + i)), shift)));
    a.sum[r] = a.sum[r] * std::exp(a.highest[r] - top) + hn::GetLane(hn::SumOfLanes(d, sum));
    a.highest[r] = top;
    const std::int64_t column = a.targets[r] - a.first_id;
    if (column >= 0 && column < a.width) a.chosen[r] = hn::GetLane(cap(load_n(d, row + column, 1)));
  }
}

template <class T>
void divergence_typed(const DivergenceRows& a, std::int64_t begin, std::int64_t end) {
  const F32 d;
  const VF lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  struct Pair {
    VF clean, edited;
  };
  for (std::int64_t r = begin; r < end; ++r) {
    if (a.targets[r] < 0) continue;
    const T* clean = static_cast<const T*>(a.clean) + r * a.width;
    const T* change = static_cast<const T*>(a.change) + r * a.width;
    const auto at = [&](std::int64_t i, std::size_t n) HWY_ATTR {
      const VF before = load_n(d, clean + i, n);
      const VF after = hn::Add(before, load_n(d, change + i, n));
      if (a.softcap <= 0) return Pair{before, after};
      return Pair{softcap(d, before, a.softcap), softcap(d, after, a.softcap)};
    };
    VF highest = lowest, edited_highest = lowest;
    for_vectors(a.width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
      const Pair v = at(i, n);
      const auto inside = hn::FirstN(d, n);
      highest = hn::Max(highest, hn::IfThenElse(inside, v.clean, lowest));
      edited_highest = hn::Max(edited_highest, hn::IfThenElse(inside, v.edited, lowest));
    });
    const float top = std::max(a.highest[r], hn::GetLane(hn::MaxOfLanes(d, highest)));
    const float edited_top =
        std::max(a.edited_highest[r], hn::GetLane(hn::MaxOfLanes(d, edited_highest)));
    VF sum = hn::Zero(d), gap = hn::Zero(d), edited_sum = hn::Zero(d);
    for_vectors(a.width, [&](std::int64_t i, std::size_t n) HWY_ATTR {
      const Pair v = at(i, n);
      const auto inside = hn::FirstN(d, n);
      const VF weight = hn::IfThenElseZero(inside, hn::Exp(d, hn::Sub(v.clean, hn::Set(d, top))));
      sum = hn::Add(sum, weight);
      gap = hn::MulAdd(weight, hn::Sub(v.clean, v.edited), gap);
      edited_sum = hn::Add(
          edited_sum,
          hn::IfThenElseZero(inside, hn::Exp(d, hn::Sub(v.edited, hn::Set(d, edited_top)))));
    });
    const float rescale = std::exp(a.highest[r] - top);
    a.sum[r] = a.sum[r] * rescale + hn::GetLane(hn::SumOfLanes(d, sum));
    a.gap[r] = a.gap[r] * rescale + hn::GetLane(hn::SumOfLanes(d, gap));
    a.highest[r] = top;
    a.edited_sum[r] = a.edited_sum[r] * std::exp(a.edited_highest[r] - edited_top) +
                      hn::GetLane(hn::SumOfLanes(d, edited_sum));
    a.edited_highest[r] = edited_top;
    const std::int64_t column = a.targets[r] - a.first_id;
    if (column >= 0 && column < a.width) a.edited_chosen[r] = hn::GetLane(at(column, 1).edited);
  }
}

void norm_rows(const NormRows& a, std::int64_t begin, std::int64_t end) {
  a.bf16 ? norm_typed<Bf16>(a, begin, end) : norm_typed<float>(a, begin, end);
}
void rotate_rows(const RotateRows& a, std::int64_t begin, std::int64_t end) {
  a.bf16 ? rotate_typed<Bf16>(a, begin, end) : rotate_typed<float>(a, begin, end);
}
void gate_rows(const GateRows& a, std::int64_t begin, std::int64_t end) {
  a.bf16 ? gate_typed<Bf16>(a, begin, end) : gate_typed<float>(a, begin, end);
}
void loss_rows(const LossRows& a, std::int64_t begin, std::int64_t end) {
  a.bf16 ? loss_typed<Bf16>(a, begin, end) : loss_typed<float>(a, begin, end);
}
void divergence_rows(const DivergenceRows& a, std::int64_t begin, std::int64_t end) {
  a.bf16 ? divergence_typed<Bf16>(a, begin, end) : divergence_typed<float>(a, begin, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace safesail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail::cpu {

HWY_EXPORT(norm_rows);
HWY_EXPORT(rotate_rows);
HWY_EXPORT(gate_rows);
HWY_EXPORT(loss_rows);
HWY_EXPORT(divergence_rows);

void norm_rows(const NormRows& args, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(norm_rows)(args, begin, end);
}
void rotate_rows(const RotateRows& args, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(rotate_rows)(args, begin, end);
}
void gate_rows(const GateRows& args, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(gate_rows)(args, begin, end);
}
void loss_rows(const LossRows& args, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(loss_rows)(args, begin, end);
}
void divergence_rows(const DivergenceRows& args, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(divergence_rows)(args, begin, end);
}

}  // namespace safesail::cpu
#endif
