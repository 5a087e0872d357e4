// What the benchmarks time by.
#pragma once

#include "base/clock.h"

namespace safesail {

/// Seconds that `work` takes.
inline double seconds(const auto& work) {
  const auto begin = Clock::now();
  work();
  return seconds_since(begin);
}

}  // namespace safesail
