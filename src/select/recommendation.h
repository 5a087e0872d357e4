// Which configuration of a grid to go on with, by what contrast pairs say of its SAEs.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bootstrap.h"

namespace safesail {

struct SaeSelection;

/// What SAEs at several sites, and of several seeds, have in common.
struct Configuration {
  bool transcoder = false;
  std::string architecture;
  std::int64_t k = 0, n_features = 0;
  std::string run;  ///< the folder that a run's sites lie in; empty where all are of one
  auto operator<=>(const Configuration&) const = default;
};
/// "topk k32 4608", "transcoder topk k32 4608", "topk k32 4608 of runs/a".
std::string to_string(const Configuration& configuration);

/// A configuration's mean over sites, and over the seeds at each, of the features that distinguish
/// more than a fifth of a concept's pairs, beyond what label swaps give.
struct Ranked {
  Configuration configuration;
  Estimate excess;
  Estimate behind;  ///< the best one's excess less this one's, on the same draws of the pairs
  std::size_t n_sites = 0, n_seeds = 0;
  double mean_l0 = 0, mean_fvu = 0;  ///< NaN unless all of its SAEs were evaluated
  /// An SAE for each site, as places in the list of all: of the lowest seed that each site has. A
  /// seed is not picked by its result.
  std::vector<std::size_t> saes;
};

/// The sparsest configuration that is not clearly worse than the best one: the interval of what it
/// is behind reaches 0. Sparser is what has a lower L0 where it was evaluated, else a lower k; what
/// has neither is not known to be sparse. SAEs and transcoders are ranked apart, for they read
/// different sites; a transcoder is recommended where there is nothing else.
struct Recommendation {
  std::vector<Ranked> ranking;  ///< SAEs, then transcoders; by falling excess
  std::vector<std::string>
      incomplete;          ///< not ranked: missing at a site that others of its kind have
  std::size_t chosen = 0;  ///< place in `ranking`
  std::string reason;      ///< one or two sentences

  const Ranked& recommended() const { return ranking.at(chosen); }
};

Recommendation recommend(const std::vector<SaeSelection>& saes);

}  // namespace safesail
