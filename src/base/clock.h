// The clock by which work is timed.
#pragma once

#include <chrono>

namespace safesail {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace safesail
