// The stage `explain`: every feature of the atlas that has examples and lacks an explanation by
// this explainer gets one. Each is written when it is there; a kill loses those under way, and the
// next start goes on with what is missing.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "atlas/atlas.h"
#include "base/report.h"
#include "interpret/llm_explainer.h"

namespace safesail {

/// Who explains. The first of a feature's explanations has `key`; the others are in other
/// languages.
struct Explainer {
  ExplanationKey key;
  std::size_t features_at_once = 1;
  std::function<std::vector<std::vector<Explanation>>(std::span<const FeatureRecord>)> explain;
};

Explainer lexical_explainer();
/// `explainer` outlives the result; `settings` and `seed` are those it was made with.
Explainer llm_explainer(LlmExplainer& explainer, const LlmExplainerSettings& settings,
                        const EndpointSettings& endpoint);

struct ExplainCounts {
  std::size_t n_ok = 0, n_unparsable = 0, n_refused = 0, n_copied = 0, n_failed = 0;
  std::size_t n_from_fewer = 0;  ///< of those ok: the model does not read all excerpts
  std::string reason;            ///< of the last that failed

  bool only_failed() const {
    return n_failed > 0 && n_ok + n_unparsable + n_refused + n_copied == 0;
  }
};

/// `sae` (its name) unless empty: of that one alone. Of the first `n_first` features of the atlas,
/// with those that have one; 0: of all. Adds to `counts` what was written, also where it ends by an
/// Error: stopped, beyond the budget, an endpoint that is gone.
void explain_features(const Explainer& explainer, const std::string& sae, std::size_t n_first,
                      Atlas& atlas, Reporter& reporter, std::stop_token stop,
                      ExplainCounts& counts);

/// The features that explain_features() would explain.
std::vector<std::int64_t> features_to_explain(const Explainer& explainer, const std::string& sae,
                                              std::size_t n_first, Atlas& atlas);

/// What explaining these features would probably cost.
CostEstimate estimate_explaining(LlmExplainer& llm, std::span<const std::int64_t> features,
                                 Atlas& atlas);

}  // namespace safesail
