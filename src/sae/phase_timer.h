// Adds the seconds between its birth and its end to a phase of a step.
#pragma once

#include "base/clock.h"

namespace safesail {

class PhaseTimer {
 public:
  explicit PhaseTimer(double& phase) : phase_(phase) {}
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;
  ~PhaseTimer() { phase_ += seconds_since(start_); }

 private:
  double& phase_;
  const Clock::time_point start_ = Clock::now();
};

}  // namespace safesail
