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

class RunningTopK {
 public:
  explicit RunningTopK(std::int64_t k);

  /// Offers features [first_feature, + pre.size()) with values pre[i] + bias[i]. `pre` is bf16 bits
  /// or f32.
  void offer(std::span<const std::uint16_t> pre, const float* bias, std::int32_t first_feature);
  void offer(std::span<const float> pre, const float* bias, std::int32_t first_feature);
  /// The features of the best so far, at most k, by rising feature; valid until the next call.
  std::span<const std::int32_t> best();

 private:
  template <class T>
  void offer_any(std::span<const T> pre, const float* bias, std::int32_t first_feature);
  void keep_best();

  std::size_t k_;
  // Everything above threshold_ that was offered since it rose, by rising feature; the k best of
  // all are among them.
  std::size_t size_ = 0;
  float threshold_ = 0;
  std::vector<float> values_;
  std::vector<std::int32_t> features_;
};

}  // namespace safesail
