// Adds the seconds between its birth and its end to a phase of a step.
#pragma once

#include <chrono>

namespace safesail {

class PhaseTimer {
 public:
  explicit PhaseTimer(double& phase) : phase_(phase) {}
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;
  ~PhaseTimer() {
    phase_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double& phase_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace safesail
