#include "harvest/token_mass.h"

#include <algorithm>
#include <tuple>

namespace safesail {
namespace {

constexpr std::size_t kTokens = 256;

}  // namespace

void TokenMass::add(std::int32_t token, float value) {
  mass_[token] += value;
  total_ += value;
  if (mass_.size() < 2 * kTokens) return;
  const std::vector<std::pair<double, std::int32_t>> sorted = falling();
  for (std::size_t i = kTokens; i < sorted.size(); ++i) mass_.erase(sorted[i].second);
}

std::vector<WeightedToken> TokenMass::heaviest(std::size_t n) const {
  std::vector<WeightedToken> tokens;
  for (const auto& [mass, id] : falling()) {
    if (tokens.size() == n) break;
    tokens.push_back({id, {}, static_cast<float>(mass / total_)});
  }
  return tokens;
}

std::vector<std::pair<double, std::int32_t>> TokenMass::falling() const {
  std::vector<std::pair<double, std::int32_t>> sorted;
  for (const auto& [id, mass] : mass_) sorted.emplace_back(mass, id);
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return std::tuple(-a.first, a.second) < std::tuple(-b.first, b.second);
  });
  return sorted;
}

}  // namespace safesail
