// The offline explainer: deterministic, from the windows for explaining and the weights alone.
//
//   Fires on head, horn, face, crest (41 % of its activation), in some contexts only. In texts with
//   deer, bird. Promotes hair, hat.
//
// Its lexicon (lexical_model.h) is what lexical_simulator.h predicts from. Free functions.
#pragma once

#include <string>

#include "harvest/exemplars.h"
#include "interpret/simulator.h"

namespace safesail {

struct LexicalExplanation {
  ExplanationText english;
  std::string chinese;  ///< the same in a Chinese frame; the words stay as they are
};

/// Reads the exemplars of `record` with use == Use::explain, its density and its promoted tokens;
/// not `fires_on`, which counts the test documents too.
LexicalExplanation explain_lexically(const FeatureRecord& record);

}  // namespace safesail
