// How well a concept can be told on pairs that were held out: by one selected feature, by five, by
// twenty, and by what needs no SAE: the difference of means and a linear probe on the raw
// activations. The dense probe often wins; features are for explaining, not for detecting.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bootstrap.h"
#include "select/pair_firing.h"
#include "select/pairs.h"

namespace safesail {

struct ProbeConfig {
  double l2 = 1e-2;  ///< of the logistic regressions, on standardised inputs
  std::size_t n_resamples = 500;
  std::uint64_t seed = 0;
};

/// AUROC of telling texts with the concept from counterparts, with intervals over the finest
/// concepts held out: pairs of one template are no independent samples.
struct ProbeResult {
  std::size_t n_train = 0, n_test = 0;  ///< pairs
  std::vector<std::int32_t> best;       ///< features by rising p on the training pairs, at most 20
  Estimate one, five, twenty;           ///< features: the best alone, logistic on 5 and 20
  Estimate mean_difference, dense;      ///< on the raw activations
};

/// `raw` [2 n_pairs, d]: text 2 p is pair p's with the concept. `train` and `test`: pairs of one
/// concept, of which no finest concept (template, word) is in both.
ProbeResult probe(const PairFiring& firing, std::span<const float> raw, std::int64_t d,
                  const std::vector<ContrastPair>& pairs, const Concept& train, const Concept& test,
                  const ProbeConfig& config);

}  // namespace safesail
