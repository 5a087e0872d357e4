// The paper's claim on an atlas: do the scorers agree over its features, and what does each cost?
#pragma once

#include <string>

#include "atlas/atlas.h"
#include "interpret/experiment.h"
#include "run/score.h"

namespace safesail {

/// The scores that the explanations of `config.which` have by `simulator`, beside one another, with
/// what the requests about them cost. Only scores whose prompts, seed and windows are those of the
/// simulator and `config` are taken: of whatever batch, which makes an arm of its own. Explanations
/// without any such score are left out.
ScorerComparison compare_scores(const Simulator& simulator, const ScoreConfig& config,
                                const std::string& currency, Atlas& atlas);

}  // namespace safesail
