// The paper's claim on an atlas: do the scorers agree over its features, and what does each cost?
#pragma once

#include <cstdint>
#include <string>

#include "atlas/atlas.h"
#include "interpret/experiment.h"

namespace safesail {

/// The scores that the explanations of `which` have by `simulator`, beside one another, with what
/// the ledger says each scorer cost (the questions of the floor included). Explanations without
/// any score are left out.
ScorerComparison compare_scores(const std::string& simulator, const ExplanationFilter& which,
                                const std::string& currency, Atlas& atlas, std::uint64_t seed);

}  // namespace safesail
