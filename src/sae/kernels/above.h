// The features of one token whose pre-activation reaches its bound: what thresholded encoders read
// from a tile of products.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace safesail {

/// Per-feature views of a tile of features, all starting at its first one.
struct AboveBounds {
  const float* bias;   ///< added to the product
  const float* lower;  ///< bound
  const float* slack;  ///< times the token's slack, subtracted from the bound
};

/// Appends first_feature + i to `out` for each i with pre[i] + bias[i] > lower[i] - token_slack *
/// slack[i], by rising i. `pre` is bf16 bits or f32.
void append_above(std::span<const std::uint16_t> pre, const AboveBounds& bounds, float token_slack,
                  std::int32_t first_feature, std::vector<std::int32_t>& out);
void append_above(std::span<const float> pre, const AboveBounds& bounds, float token_slack,
                  std::int32_t first_feature, std::vector<std::int32_t>& out);

}  // namespace safesail
