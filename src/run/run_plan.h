// A whole run: phase 1 (train, evaluate), then phase 2 (select, exemplars, explain, score) where
// there are contrast pairs.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "run/phase2.h"
#include "train/run.h"

namespace safesail {

/// What both phases need (model, run folder) stands in `phase1`; run_plan() hands it on.
struct RunPlan {
  RunConfig phase1;
  Phase2Config phase2;  ///< without pairs it is left out
};

struct PlanResult {
  RunResult phase1;
  std::optional<Phase2Result> phase2;
};

/// Does what is missing. `force` names the first stage, of either phase, that is done in any case.
PlanResult run_plan(const RunPlan& plan, const std::optional<std::string>& force,
                    Reporter& reporter, std::stop_token stop);

}  // namespace safesail
