#include "interpret/price.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "base/units.h"
#include "formats/json.h"

namespace safesail {
namespace {

double price_of(const JsonObject& prices, std::string_view kind) {
  const double value = prices.get<double>(kind);
  if (!(value >= 0 && std::isfinite(value)))
    bad_input(prices.where(), fmt::format("expected '{}' to be at least 0, got {}", kind, value),
              "give the price of a million tokens");
  return value;
}

}  // namespace

TokenUsage& TokenUsage::operator+=(const TokenUsage& other) {
  prompt += other.prompt;
  cached += other.cached;
  completion += other.completion;
  reasoning += other.reasoning;
  return *this;
}

double Price::of(const TokenUsage& usage) const {
  const std::uint64_t fresh = usage.prompt - std::min(usage.cached, usage.prompt);
  return (prompt * static_cast<double>(fresh) + cached * static_cast<double>(usage.prompt - fresh) +
          completion * static_cast<double>(usage.completion)) *
         1e-6;
}

Price read_price(const fs::path& path, std::string_view model) {
  const Json json = read_json(path, {.max_bytes = 4 << 20, .max_depth = 8, .unique_keys = true});
  const JsonObject table(json, path.string());
  const JsonObject prices = table.object("models").object(model);
  Price price;
  price.prompt = price_of(prices, "prompt");
  price.completion = price_of(prices, "completion");
  price.cached = prices.contains("cached") ? price_of(prices, "cached") : price.prompt;
  price.currency = table.get_or<std::string>("currency", price.currency);
  return price;
}

std::uint64_t likely_tokens(std::string_view text) {
  std::uint64_t ascii = 0, others = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    ascii += byte < 0x80;
    others += byte >= 0xC0;
  }
  return (ascii + 3) / 4 + others;
}

CostEstimate& CostEstimate::operator+=(const CostEstimate& other) {
  requests += other.requests;
  answered += other.answered;
  usage += other.usage;
  shared += other.shared;
  written += other.written;
  longest = std::max(longest, other.longest);
  money += other.money;
  return *this;
}

std::string to_string(const CostEstimate& estimate, const Price& price) {
  const auto count = [](std::uint64_t n) { return human_count(static_cast<double>(n)); };
  std::string text = fmt::format("{} requests, {} prompt + {} completion tokens", estimate.requests,
                                 count(estimate.usage.prompt), count(estimate.usage.completion));
  if (price.known()) text += fmt::format(", {:.4g} {}", estimate.money, price.currency);
  if (estimate.answered > 0) text += fmt::format("; {} answered before", estimate.answered);
  return text;
}

}  // namespace safesail
