#include "model/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <hwy/aligned_allocator.h>
#include <limits>

#include "base/round_up.h"
#include "model/dot_bf16.h"
#include "model/unroll.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/attention_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target, which defines what it needs.
#include "model/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safesail {
namespace HWY_NAMESPACE {

using cpu::Attention;
using cpu::AttentionBlock;

// A block computes, for tiles of keys, S = K Q^T ("keys x rows", a row being one head of one
// query), P = softmax(S) down the columns, O += P^T V ("rows x head_dim"). K and P are the left
// sides, whose elements are broadcast; Q^T and V the right sides, read by vectors. So keys need no
// transposing, and the softmax runs on whole vectors of rows.
//
// A lane is 32 bits along the inner dimension: one float, or two bf16 where the CPU has their dot
// product.
constexpr std::size_t kKeyTile = 64;
constexpr std::size_t kPad = 16;    // columns: the widest vector of floats
constexpr std::size_t kRowPad = 8;  // rows of a panel
constexpr float kLowest = -1e30f;   // finite, so that differences of it are 0 and not NaN

// ---- C (+)= A B

struct FloatProduct {
  const float* a;
  std::size_t a_row, a_inner;
  const float* b;
  std::size_t b_inner;
  float* c;
  std::size_t c_row;
  std::size_t rows, columns, inner;
  bool accumulate;
};

/// Eight rows fill the registers of AVX-512, four those of the others.
constexpr std::size_t kPanelRows = HWY_MAX_BYTES >= 64 ? 8 : 4;

template <std::size_t kVectors>
HWY_INLINE void multiply_panel(const FloatProduct& p, std::size_t row, std::size_t column) {
  const F32 d;
  const std::size_t lanes = hn::Lanes(d);
  VF sum[kPanelRows][kVectors];
  float* c = p.c + row * p.c_row + column;
  SAFESAIL_UNROLL
  for (std::size_t r = 0; r < kPanelRows; ++r) {
    SAFESAIL_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v)
      sum[r][v] = p.accumulate ? hn::LoadU(d, c + r * p.c_row + lanes * v) : hn::Zero(d);
  }
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + column;
  for (std::size_t k = 0; k < p.inner; ++k, a += p.a_inner, b += p.b_inner) {
    VF right[kVectors];
    SAFESAIL_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + lanes * v);
    SAFESAIL_UNROLL
    for (std::size_t r = 0; r < kPanelRows; ++r) {
      const VF left = hn::Set(d, a[r * p.a_row]);
      SAFESAIL_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
    }
  }
  SAFESAIL_UNROLL
  for (std::size_t r = 0; r < kPanelRows; ++r) {
    SAFESAIL_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v)
      hn::StoreU(sum[r][v], d, c + r * p.c_row + lanes * v);
  }
}

void multiply(const FloatProduct& p) {
  const std::size_t lanes = hn::Lanes(F32());
  for (std::size_t column = 0; column < p.columns; column += 2 * lanes)
    for (std::size_t row = 0; row < p.rows; row += kPanelRows)
      if (column + 2 * lanes <= p.columns)
        multiply_panel<2>(p, row, column);
      else
        multiply_panel<1>(p, row, column);
}
void multiply(const cpu::PairProduct& p) {
  cpu::multiply_pairs(p);
}

// ---- Lanes

struct FloatLanes {
  using Lane = float;
  using Product = FloatProduct;
  static constexpr std::size_t kPerLane = 1;

  template <class T>
  static Lane join(const T* p, std::size_t) {
    if constexpr (sizeof(T) == 4) return *p;
    std::uint32_t bits = static_cast<std::uint32_t>(*reinterpret_cast<const Bf16*>(p)) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  /// Rows j.. of V side by side: here the one row.
  template <class T>
  static void pack_values(const T* row, const T*, std::size_t width, Lane* out) {
    const F32 d;
    for (std::size_t i = 0; i < width; i += hn::Lanes(d))
      hn::StoreU(load_n(d, row + i, std::min(hn::Lanes(d), width - i)), d, out + i);
  }
  static HWY_INLINE void store_weights(F32 d, const VF* p, Lane* out) { hn::StoreU(p[0], d, out); }
};

struct PairLanes {
  using Lane = std::uint32_t;
  using Product = cpu::PairProduct;
  static constexpr std::size_t kPerLane = 2;

  static Lane join(const Bf16* p, std::size_t n) {
    return n < 2 ? p[0] : p[0] | static_cast<Lane>(p[1]) << 16;
  }
  /// The values of two keys interleaved; `second` is nullptr behind the last key.
  static void pack_values(const Bf16* first, const Bf16* second, std::size_t width, Lane* out) {
    const hn::RebindToUnsigned<F32> d32;
    const hn::Rebind<std::uint16_t, F32> d16;
    std::size_t i = 0;
    for (; i + hn::Lanes(d32) <= width; i += hn::Lanes(d32)) {
      const auto low = hn::PromoteTo(d32, hn::LoadU(d16, first + i));
      const auto high =
          second == nullptr ? hn::Zero(d32) : hn::PromoteTo(d32, hn::LoadU(d16, second + i));
      hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), d32, out + i);
    }
    for (; i < width; ++i)
      out[i] = first[i] | (second == nullptr ? 0u : static_cast<Lane>(second[i]) << 16);
  }
  static HWY_INLINE void store_weights(F32, const VF* p, Lane* out) {
    const hn::RebindToUnsigned<F32> d32;
    const auto rounded = [&](VF v) HWY_ATTR {
      const auto bits = hn::BitCast(d32, v);
      const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
      return hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7fff)));
    };
    const auto high = hn::And(rounded(p[1]), hn::Set(d32, 0xffff0000));
    hn::StoreU(hn::Or(hn::ShiftRight<16>(rounded(p[0])), high), d32, out);
  }
};

// ---- The block

template <class Lanes, class T>
class Block {
  using Lane = typename Lanes::Lane;
  using Product = typename Lanes::Product;

 public:
  Block(const Attention& args, const AttentionBlock& block)
      : a_(args),
        span_(*block.span),
        group_(static_cast<std::size_t>(args.n_heads / args.n_kv_heads)),
        rows_(static_cast<std::size_t>(block.n_queries) * group_),
        padded_rows_(round_up(rows_, kPad)),
        head_dim_(static_cast<std::size_t>(args.head_dim)),
        depth_((head_dim_ + Lanes::kPerLane - 1) / Lanes::kPerLane),
        width_(round_up(head_dim_, kPad)),
        first_row_(span_.first_row + block.first_query),
        head_(block.kv_head * static_cast<std::int64_t>(group_)),
        first_position_(span_.n_keys - span_.n_queries + block.first_query),
        end_position_(first_position_ + block.n_queries),
        k_(static_cast<const T*>(span_.k) + block.kv_head * args.head_dim),
        v_(static_cast<const T*>(span_.v) + block.kv_head * args.head_dim) {
    q_t_ = buffer<Lane>(depth_ * padded_rows_);
    k_tile_ = buffer<Lane>(kKeyTile * depth_);
    v_tile_ = buffer<Lane>(kKeyTile / Lanes::kPerLane * width_);
    p_ = buffer<Lane>(kKeyTile / Lanes::kPerLane * padded_rows_);
    s_ = buffer<float>(kKeyTile * padded_rows_);
    o_ = buffer<float>(padded_rows_ * width_);
    rows_state_ = buffer<float>(4 * padded_rows_);
    highest_ = rows_state_.get();
    sum_ = highest_ + padded_rows_;
    shrink_ = sum_ + padded_rows_;
    position_ = shrink_ + padded_rows_;
  }

  void run() {
    start();
    const std::int64_t first_key =
        a_.window > 0 ? std::max<std::int64_t>(0, first_position_ - a_.window + 1) : 0;
    for (std::int64_t key = first_key; key < end_position_; key += kKeyTile) {
      const auto n =
          static_cast<std::size_t>(std::min<std::int64_t>(kKeyTile, end_position_ - key));
      scores(key, n);
      softmax(key, n);
      accumulate(key, n);
    }
    finish();
  }

 private:
  template <class X>
  static hwy::AlignedFreeUniquePtr<X[]> buffer(std::size_t n) {
    return hwy::AllocateAligned<X>(n);
  }

  const T* query(std::size_t row) const {
    const std::int64_t token = first_row_ + static_cast<std::int64_t>(row / group_);
    const std::int64_t head = head_ + static_cast<std::int64_t>(row % group_);
    return static_cast<const T*>(a_.q) + token * a_.q_stride + head * a_.head_dim;
  }

  void start() {
    for (std::size_t row = 0; row < padded_rows_; ++row) {
      for (std::size_t i = 0; i < depth_; ++i)
        q_t_[i * padded_rows_ + row] = row < rows_ ? Lanes::join(query(row) + i * Lanes::kPerLane,
                                                                 head_dim_ - i * Lanes::kPerLane)
                                                   : Lane{0};
      highest_[row] = kLowest;
      sum_[row] = 0;
      const std::size_t position = row / group_;
      position_[row] = static_cast<float>(position);
    }
    std::fill_n(o_.get(), padded_rows_ * width_, 0.0f);
  }

  void scores(std::int64_t key, std::size_t n) {
    const std::size_t padded = round_up(n, kRowPad);
    for (std::size_t j = 0; j < n; ++j) {
      const T* row = k_ + (key + static_cast<std::int64_t>(j)) * span_.kv_stride;
      Lane* out = k_tile_.get() + j * depth_;
      if (sizeof(T) * Lanes::kPerLane == sizeof(Lane) && head_dim_ % Lanes::kPerLane == 0)
        std::memcpy(out, row, head_dim_ * sizeof(T));
      else
        for (std::size_t i = 0; i < depth_; ++i)
          out[i] = Lanes::join(row + i * Lanes::kPerLane, head_dim_ - i * Lanes::kPerLane);
    }
    std::fill_n(k_tile_.get() + n * depth_, (padded - n) * depth_, Lane{0});
    multiply(Product{.a = k_tile_.get(),
                     .a_row = depth_,
                     .a_inner = 1,
                     .b = q_t_.get(),
                     .b_inner = padded_rows_,
                     .c = s_.get(),
                     .c_row = padded_rows_,
                     .rows = padded,
                     .columns = padded_rows_,
                     .inner = depth_,
                     .accumulate = false});
  }

  /// Scores of `n` keys from `key` on -> weights relative to the highest score so far.
  void softmax(std::int64_t key, std::size_t n) {
    const F32 d;
    const bool masked = key + static_cast<std::int64_t>(n) > first_position_ + 1 ||
                        (a_.window > 0 && key <= end_position_ - 1 - a_.window);
    // Plain scores stay as they are and are scaled inside the exponential.
    const bool plain = !masked && a_.softcap == 0;
    const VF scale = hn::Set(d, plain ? a_.scale : 1.0f);
    for (std::size_t row = 0; row < padded_rows_; row += hn::Lanes(d)) {
      if (!plain) cap_and_mask(key, n, row, masked);
      const float* scores = s_.get() + row;
      VF highest = hn::LoadU(d, scores);
      for (std::size_t j = 1; j < n; ++j)
        highest = hn::Max(highest, hn::LoadU(d, scores + j * padded_rows_));
      const VF before = hn::LoadU(d, highest_ + row);
      highest = hn::Max(hn::Mul(highest, scale), before);
      const VF shrink = hn::Exp(d, hn::Sub(before, highest));
      VF sum = hn::Mul(hn::LoadU(d, sum_ + row), shrink);
      for (std::size_t j = 0; j < n; j += Lanes::kPerLane) {
        VF weights[2] = {hn::Zero(d), hn::Zero(d)};
        for (std::size_t part = 0; part < std::min(Lanes::kPerLane, n - j); ++part) {
          const VF score = hn::LoadU(d, scores + (j + part) * padded_rows_);
          weights[part] = hn::Exp(d, hn::MulSub(score, scale, highest));
          sum = hn::Add(sum, weights[part]);
        }
        Lanes::store_weights(d, weights, p_.get() + j / Lanes::kPerLane * padded_rows_ + row);
      }
      hn::StoreU(highest, d, highest_ + row);
      hn::StoreU(shrink, d, shrink_ + row);
      hn::StoreU(sum, d, sum_ + row);
    }
  }

  /// Scales, caps and masks the scores of one vector of rows.
  void cap_and_mask(std::int64_t key, std::size_t n, std::size_t row, bool masked) {
    const F32 d;
    const VF scale = hn::Set(d, a_.scale);
    const VF hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
    // Positions relative to the block's first query: small integers, exact in f32.
    const VF position = hn::LoadU(d, position_ + row);
    const auto first = static_cast<float>(key - first_position_);
    const auto window = static_cast<float>(a_.window);
    for (std::size_t j = 0; j < n; ++j) {
      float* at = s_.get() + j * padded_rows_ + row;
      VF v = hn::Mul(hn::LoadU(d, at), scale);
      if (a_.softcap > 0) v = softcap(d, v, a_.softcap);
      if (masked) {
        const float other = first + static_cast<float>(j);
        v = hn::IfThenElse(hn::Gt(hn::Set(d, other), position), hidden, v);
        if (a_.window > 0)
          v = hn::IfThenElse(hn::Le(hn::Set(d, other + window), position), hidden, v);
      }
      hn::StoreU(v, d, at);
    }
  }

  void accumulate(std::int64_t key, std::size_t n) {
    const F32 d;
    for (std::size_t row = 0; row < rows_; ++row) {
      if (shrink_[row] == 1.0f) continue;
      const VF factor = hn::Set(d, shrink_[row]);
      float* o = o_.get() + row * width_;
      for (std::size_t i = 0; i < width_; i += hn::Lanes(d))
        hn::StoreU(hn::Mul(hn::LoadU(d, o + i), factor), d, o + i);
    }
    for (std::size_t j = 0; j < n; j += Lanes::kPerLane) {
      const T* first = v_ + (key + static_cast<std::int64_t>(j)) * span_.kv_stride;
      Lane* out = v_tile_.get() + j / Lanes::kPerLane * width_;
      Lanes::pack_values(first, j + 1 < n ? first + span_.kv_stride : nullptr, head_dim_, out);
      std::fill(out + head_dim_, out + width_, Lane{0});
    }
    multiply(Product{.a = p_.get(),
                     .a_row = 1,
                     .a_inner = padded_rows_,
                     .b = v_tile_.get(),
                     .b_inner = width_,
                     .c = o_.get(),
                     .c_row = width_,
                     .rows = padded_rows_,
                     .columns = width_,
                     .inner = (n + Lanes::kPerLane - 1) / Lanes::kPerLane,
                     .accumulate = true});
  }

  void finish() {
    const F32 d;
    for (std::size_t row = 0; row < rows_; ++row) {
      const std::int64_t token = first_row_ + static_cast<std::int64_t>(row / group_);
      const std::int64_t head = head_ + static_cast<std::int64_t>(row % group_);
      T* out = static_cast<T*>(a_.out) + token * a_.out_stride + head * a_.head_dim;
      const VF inverse = hn::Set(d, 1.0f / sum_[row]);
      for (std::size_t i = 0; i < head_dim_; i += hn::Lanes(d))
        store_n(d, hn::Mul(hn::LoadU(d, o_.get() + row * width_ + i), inverse), out + i,
                std::min(hn::Lanes(d), head_dim_ - i));
    }
  }

  const Attention& a_;
  const AttentionSpan& span_;
  const std::size_t group_;  // query heads of a key head
  const std::size_t rows_;   // (query, head of the group), head fastest
  const std::size_t padded_rows_;
  const std::size_t head_dim_;
  const std::size_t depth_;  // lanes of a head
  const std::size_t width_;  // floats of a row of O
  const std::int64_t first_row_, head_, first_position_, end_position_;
  const T* k_;
  const T* v_;
  // Aligned to cache lines, as the loads of whole tiles want them.
  hwy::AlignedFreeUniquePtr<Lane[]> q_t_, k_tile_, v_tile_, p_;
  hwy::AlignedFreeUniquePtr<float[]> s_, o_, rows_state_;
  float *highest_, *sum_, *shrink_, *position_;  // in rows_state_
};

void attend(const Attention& args, const AttentionBlock& block) {
  if (!args.bf16)
    Block<FloatLanes, float>(args, block).run();
  else if (args.use_bf16_dot)
    Block<PairLanes, Bf16>(args, block).run();
  else
    Block<FloatLanes, Bf16>(args, block).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace safesail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safesail::cpu {

HWY_EXPORT(attend);

std::int64_t attention_block_queries(const Attention& args) {
  // About 192 rows: enough to reuse each tile of keys, few enough to stay in the L2 cache.
  return std::max<std::int64_t>(1, 192 / (args.n_heads / args.n_kv_heads));
}

void attend(const Attention& args, const AttentionBlock& block) {
  HWY_DYNAMIC_DISPATCH(attend)(args, block);
}

}  // namespace safesail::cpu
#endif
