// Walks a pair's two texts side by side, feature by feature.
#pragma once

#include "select/pair_firing.h"

namespace safesail {

/// Calls with (feature, max with the concept, max in the counterpart) for all that fire in either.
template <class Function>
void for_each_firing(const PairFiring& firing, std::size_t pair, Function&& function) {
  const auto a = firing.with_concept(pair), b = firing.counterpart(pair);
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a[i].feature < b[j].feature)) {
      function(a[i].feature, a[i].max, 0.0F);
      ++i;
    } else if (i == a.size() || b[j].feature < a[i].feature) {
      function(b[j].feature, 0.0F, b[j].max);
      ++j;
    } else {
      function(a[i].feature, a[i].max, b[j].max);
      ++i, ++j;
    }
  }
}

}  // namespace safesail
