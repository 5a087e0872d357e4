// A positive value and its feature as one number, to compare codes by. Larger is better, and of
// equal values the one with the lower feature: positive floats order like their bits.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "sae/code_pairs.h"

namespace safesail {

inline std::uint64_t key_of(float value, std::int32_t feature) {
  return std::uint64_t{std::bit_cast<std::uint32_t>(value)} << 32 | ~std::uint32_t(feature);
}
inline float value_of(std::uint64_t key) {
  return std::bit_cast<float>(std::uint32_t(key >> 32));
}
inline std::int32_t feature_of(std::uint64_t key) {
  return std::int32_t(~std::uint32_t(key));
}

/// The pairs with positive pre as keys, token by token.
struct KeysByToken {
  std::vector<std::int64_t> offsets;  ///< [n_tokens + 1]
  std::vector<std::uint64_t> keys;

  KeysByToken(const CodePairs& pairs, std::int64_t n_tokens);
  std::span<std::uint64_t> of(std::int64_t token) {
    const auto begin = std::size_t(offsets[std::size_t(token)]);
    return std::span(keys).subspan(begin, std::size_t(offsets[std::size_t(token) + 1]) - begin);
  }
};

}  // namespace safesail
