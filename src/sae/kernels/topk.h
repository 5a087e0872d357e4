// The running top-k of one token over tiles of its pre-activations.
//
// Only positive values count (ReLU comes next anyway); of equal values the lower feature index
// wins, which needs tiles to come by rising feature index. NaN never enters: callers make sure that
// there is none. One object a token at a time; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace safesail {

/// A positive value and its feature as one number: larger is better, and of equal values the one
/// with the lower feature. Positive floats order like their bits.
std::uint64_t topk_key(float value, std::int32_t feature);
float value_of_key(std::uint64_t key);
std::int32_t feature_of_key(std::uint64_t key);

class RunningTopK {
 public:
  explicit RunningTopK(std::int64_t k);

  /// Forgets everything: the next token begins.
  void restart();
  /// Offers features [first_feature, + pre.size()) with values pre[i] + bias[i]. `pre` is bf16 bits
  /// or f32.
  void offer(std::span<const std::uint16_t> pre, const float* bias, std::int32_t first_feature);
  void offer(std::span<const float> pre, const float* bias, std::int32_t first_feature);
  /// The best so far, at most k, in no order; valid until the next call.
  std::span<const std::uint64_t> best();

 private:
  template <class T>
  void offer_any(std::span<const T> pre, const float* bias, std::int32_t first_feature);
  void shrink();

  std::int64_t k_;
  std::size_t size_ = 0;
  float threshold_ = 0;  ///< a newcomer must be above
  std::vector<float> values_;
  std::vector<std::int32_t> features_;
  std::vector<std::uint64_t> keys_;
};

}  // namespace safesail
