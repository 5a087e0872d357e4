// Random windows of the corpus, each with the features that fire in it: where the windows in which
// a given feature stays silent come from, easy ones and hard ones, for any number of features from
// one bounded sample.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/rng.h"
#include "harvest/exemplars.h"

namespace safesail {

struct PooledWindow {
  Window window;  ///< activations are zeros
  std::uint64_t hash = 0;
  std::vector<std::int32_t> firing;  ///< numbers of the features that fire in it, rising
};

class WindowPool {
 public:
  WindowPool(std::size_t capacity, std::uint64_t seed, std::uint64_t stream);

  /// Reservoir sampling (Vitter 1985, algorithm R): whether the window with this hash, the next of
  /// the stream, is to be kept; if so, give it to keep() next. Equal windows are kept once.
  bool wants(std::uint64_t hash);
  void keep(PooledWindow window);

  /// After the last keep(): makes the questions below answerable.
  void index();

  const std::vector<PooledWindow>& windows() const { return windows_; }
  /// Numbers of windows, in random order, in which `feature` is silent.
  std::vector<std::size_t> silent(std::int32_t feature) const;
  /// Those among them with one of `tokens`, most of them first.
  std::vector<std::size_t> silent_with_tokens(std::int32_t feature,
                                              std::span<const std::int32_t> tokens) const;
  /// Those in which features fire that often fire where `feature` does; the likest first. Empty
  /// when the pool has too few windows in which `feature` fires to tell.
  std::vector<std::size_t> silent_with_companions(std::int32_t feature) const;

 private:
  bool fires(std::int32_t feature, std::size_t window) const;

  const std::size_t capacity_;
  Rng rng_;
  std::uint64_t n_offered_ = 0;
  std::size_t place_ = 0;  // of the window that keep() puts down
  std::vector<PooledWindow> windows_;
  std::unordered_set<std::uint64_t> hashes_;
  std::unordered_map<std::int32_t, std::vector<std::size_t>> by_token_, by_feature_;
};

}  // namespace safesail
