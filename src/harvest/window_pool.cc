#include "harvest/window_pool.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace safesail {
namespace {

/// Of the windows in which a feature fires so many are looked at for its companions, and so many
/// companions are taken.
constexpr std::size_t kWindowsForCompanions = 64, kCompanions = 8;

/// Windows by falling weight; of equal weight the earlier one.
std::vector<std::size_t> by_weight(const std::unordered_map<std::size_t, double>& weights) {
  std::vector<std::pair<double, std::size_t>> sorted;
  for (const auto& [window, weight] : weights) sorted.emplace_back(-weight, window);
  std::ranges::sort(sorted);
  std::vector<std::size_t> windows;
  for (const auto& [weight, window] : sorted) windows.push_back(window);
  return windows;
}

}  // namespace

WindowPool::WindowPool(std::size_t capacity, std::uint64_t seed, std::uint64_t stream)
    : capacity_(capacity), rng_(seed, stream) {
  SAFESAIL_CHECK(capacity > 0);
}

bool WindowPool::wants(std::uint64_t hash) {
  if (hashes_.contains(hash)) return false;
  ++n_offered_;
  place_ = windows_.size();
  if (windows_.size() == capacity_) place_ = static_cast<std::size_t>(rng_.below(n_offered_));
  return place_ < capacity_;
}

void WindowPool::keep(PooledWindow window) {
  hashes_.insert(window.hash);
  if (place_ == windows_.size()) {
    windows_.push_back(std::move(window));
    return;
  }
  hashes_.erase(windows_[place_].hash);
  windows_[place_] = std::move(window);
}

void WindowPool::index() {
  // The first windows of the stream came first: without this, silent() would prefer them.
  shuffle(windows_, rng_);
  for (std::size_t w = 0; w < windows_.size(); ++w) {
    for (const std::int32_t feature : windows_[w].firing) by_feature_[feature].push_back(w);
    for (const std::int32_t token : windows_[w].window.ids) {
      std::vector<std::size_t>& places = by_token_[token];
      if (places.empty() || places.back() != w) places.push_back(w);
    }
  }
}

bool WindowPool::fires(std::int32_t feature, std::size_t window) const {
  return std::ranges::binary_search(windows_[window].firing, feature);
}

std::vector<std::size_t> WindowPool::silent(std::int32_t feature) const {
  std::vector<std::size_t> silent;
  for (std::size_t w = 0; w < windows_.size(); ++w)
    if (!fires(feature, w)) silent.push_back(w);
  return silent;
}

std::vector<std::size_t> WindowPool::silent_with_tokens(
    std::int32_t feature, std::span<const std::int32_t> tokens) const {
  std::unordered_map<std::size_t, double> n_tokens;
  for (const std::int32_t token : tokens)
    if (const auto found = by_token_.find(token); found != by_token_.end())
      for (const std::size_t w : found->second)
        if (!fires(feature, w)) ++n_tokens[w];
  return by_weight(n_tokens);
}

std::vector<std::size_t> WindowPool::silent_with_companions(std::int32_t feature) const {
  const auto own = by_feature_.find(feature);
  if (own == by_feature_.end() || own->second.size() < 2) return {};
  std::unordered_map<std::int32_t, double> n_together;
  const std::size_t n_looked = std::min(own->second.size(), kWindowsForCompanions);
  for (std::size_t i = 0; i < n_looked; ++i)
    for (const std::int32_t other : windows_[own->second[i]].firing)
      if (other != feature) ++n_together[other];

  // Being together counts for less with a feature that fires everywhere.
  std::vector<std::pair<double, std::int32_t>> companions;
  for (const auto& [other, n] : n_together)
    if (n >= 2)
      companions.emplace_back(-n * std::log(static_cast<double>(windows_.size()) /
                                            static_cast<double>(by_feature_.at(other).size())),
                              other);
  std::ranges::sort(companions);
  if (companions.size() > kCompanions) companions.resize(kCompanions);

  std::unordered_map<std::size_t, double> likeness;
  for (const auto& [weight, other] : companions)
    for (const std::size_t w : by_feature_.at(other))
      if (!fires(feature, w)) likeness[w] -= weight;
  return by_weight(likeness);
}

}  // namespace safesail
