// What tokens cost: usage, prices and estimates. Plain data and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"

namespace safesail {

/// As endpoints count: `cached` are among `prompt`, `reasoning` among `completion`.
struct TokenUsage {
  std::uint64_t prompt = 0, cached = 0, completion = 0, reasoning = 0;

  std::uint64_t total() const { return prompt + completion; }
  TokenUsage& operator+=(const TokenUsage& other);
};

/// Money per million tokens. All zero: free, or not known.
struct Price {
  double prompt = 0, cached = 0, completion = 0;
  std::string currency = "USD";

  bool known() const { return prompt > 0 || completion > 0; }
  double of(const TokenUsage& usage) const;
};

/// Reads the price of `model` from a JSON file:
///   {"currency": "USD", "models": {"some-model": {"prompt": 0.4, "cached": 0.1,
///   "completion": 1.6}}}
/// Without "cached", cached tokens cost as others do. An input error when the model is missing.
Price read_price(const fs::path& path, std::string_view model);

/// About how many tokens a text has: a token for 4 bytes of ASCII, and for each other character.
/// For estimates that people read.
std::uint64_t likely_tokens(std::string_view text);

/// What some requests will probably cost.
struct CostEstimate {
  std::uint64_t requests = 0;
  std::uint64_t answered = 0;  ///< beside those: in the ledger, or asked twice; free
  TokenUsage usage;
  std::uint64_t shared = 0;   ///< of the prompts: an earlier one of these requests opens with them
  std::uint64_t written = 0;  ///< of the completions, where they are not read from one pass
  std::uint64_t longest = 0;  ///< tokens of a request and its answer
  double money = 0;

  CostEstimate& operator+=(const CostEstimate& other);
};

/// "120 requests, 310 k prompt + 14 k completion tokens, 0.15 USD; 20 answered before".
std::string to_string(const CostEstimate& estimate, const Price& price);

}  // namespace safesail
