// Judges from its training log whether an SAE should go on.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace safesail {

/// One line of metrics.jsonl: means over the steps of a block.
struct TrainingRecord {
  std::uint64_t tokens = 0;  ///< of the run when the block was done
  double loss = 0, fvu = 0, l0 = 0;
  double dead_share = 0;  ///< at the block's end
};

struct GuardConfig {
  std::uint64_t n_tokens = 0;           ///< the budget
  std::uint64_t warmup_tokens = 0;      ///< what happens in it is not judged
  std::uint64_t dead_after_tokens = 0;  ///< so long after it fell silent a feature counts as dead
};

/// Why the SAE with this history, oldest first, should stop; empty: it should not. Over the last
/// 5 % of the budget (and at least three blocks):
///   collapse    FVU above 1 all the time (worse than the mean), or no feature active at all
///   dead wave   the share of dead features has risen by more than 30 points
/// A function of the history alone, so that a resumed run judges as an uninterrupted one.
std::string trouble(std::span<const TrainingRecord> history, const GuardConfig& config);

}  // namespace safesail
