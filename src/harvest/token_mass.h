// How much of a feature's activation falls on each token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "harvest/exemplars.h"

namespace safesail {

/// Bounded: beyond a few hundred tokens the lightest are forgotten, so that a share is a lower
/// bound for tokens that come late.
class TokenMass {
 public:
  void add(std::int32_t token, float value);
  /// The n heaviest with their shares of all mass, falling; of equal mass the lower token.
  std::vector<WeightedToken> heaviest(std::size_t n) const;

 private:
  std::vector<std::pair<double, std::int32_t>> falling() const;

  std::unordered_map<std::int32_t, double> mass_;
  double total_ = 0;
};

}  // namespace safesail
