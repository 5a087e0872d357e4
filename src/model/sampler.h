// Choosing the next token from logits: greedy, or by temperature, top-k and top-p as transformers
// applies them (in that order). Deterministic: the seed and the stream name the random numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"

namespace safesail {

struct SamplingConfig {
  double temperature = 0;  ///< 0: the most likely token, always
  std::int32_t top_k = 0;  ///< keep the k most likely tokens; 0: all
  double top_p = 1;        ///< keep the fewest tokens that hold this share of the probability
  std::uint64_t seed = 0;
};

/// Throws an input error that names the impossible setting.
void check_sampling(const SamplingConfig& config);

struct TokenProbability {
  std::int32_t id;
  double probability;
};

/// What may be drawn and how likely it is, most likely first (equal ones by id); sums to 1.
std::vector<TokenProbability> sampling_distribution(std::span<const float> logits,
                                                    const SamplingConfig& config);

/// Draws for one sequence; `stream` tells the sequences of a batch apart. One thread.
class Sampler {
 public:
  Sampler(const SamplingConfig& config, std::uint64_t stream);
  /// `allowed`: a bit an id, of which some are among `logits`; empty: any may be drawn.
  std::int32_t next(std::span<const float> logits, std::span<const std::uint32_t> allowed = {});

 private:
  SamplingConfig config_;
  Rng rng_;
};

}  // namespace safesail
