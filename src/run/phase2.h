// Phase 2 of a run, after training and evaluation: select -> exemplars -> explain -> score, all
// offline with the lexical explainer and simulator. Explanations and scores by an endpoint are
// added to the same atlas by `safesail explain` and `safesail score`.
//
//   runs/NAME/select/        what contrast pairs say of every SAE (select/selection_files.h)
//            /atlas.sqlite   the neuron database
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "run/collect.h"
#include "run/score.h"
#include "select/selection.h"

namespace safesail {

struct Phase2Config {
  fs::path model;
  LoadOptions load;
  fs::path out;  ///< the run
  std::vector<std::string> pairs;
  SelectConfig select;
  CollectConfig collect;
  ScoreConfig score;
};

struct Phase2Result {
  std::optional<FeatureSelection> selection;  ///< nothing when it was there already
  SelectionResult selected;
};

/// Does what is missing; `force` names the first stage that is done in any case.
Phase2Result run_phase2(const Phase2Config& config, const std::optional<std::string>& force,
                        Reporter& reporter, std::stop_token stop);

}  // namespace safesail
