// The stage `score`: every explanation that lacks a score by this simulator on these questions gets
// one, on the test windows of its feature, with floor and lexical baseline beside it. Each is
// written when it is there.
#pragma once

#include <array>
#include <stop_token>
#include <string>
#include <vector>

#include "atlas/atlas.h"
#include "base/report.h"
#include "interpret/llm_simulator.h"
#include "interpret/question.h"
#include "interpret/score.h"
#include "interpret/simulator.h"

namespace safesail {

struct ScoreConfig {
  std::vector<Scorer> scorers = {Scorer::segment, Scorer::detection};
  QuestionOptions questions;
  ScoreOptions options;
  ExplanationFilter which = {.language = "en"};
  std::size_t n_first = 0;   ///< explanations, with those that have a score; 0: all
  std::size_t n_floors = 3;  ///< explanations of the floor; each is asked about as the own one is
  bool again = false;        ///< also those whose score has failed answers, or too few windows
};

/// What one scorer came to.
struct ScorerOutcome {
  Scorer scorer = Scorer::segment;
  std::size_t n_scored = 0, n_without = 0;  ///< without: too few windows or answers
  std::size_t n_unanswered = 0;             ///< of those without: none of its questions was
  double mean = kUnknown;                   ///< of what the scores count in means
  // Scores with such an interval, and of them those that it tells apart.
  std::size_t n_with_floor = 0, n_above_floor = 0, n_with_baseline = 0, n_above_baseline = 0;
  std::string reason;  ///< of the last with too few windows, or questions that were not answered
};

/// Adds one a scorer to `outcomes`, of what was scored now, also where it ends by an Error:
/// stopped, beyond the budget, an endpoint that is gone.
void score_explanations(Simulator& simulator, const ScoreConfig& config, Atlas& atlas,
                        Reporter& reporter, std::stop_token stop,
                        std::vector<ScorerOutcome>& outcomes);

/// The key of a score, questions aside.
ScoreKey score_key(const Simulator& simulator, Scorer scorer, const ScoreConfig& config);

/// What score_explanations() would probably cost. The floor's questions are the same with another
/// explanation, so that they are counted too.
CostEstimate estimate_scoring(LlmSimulator& simulator, const ScoreConfig& config, Atlas& atlas);

}  // namespace safesail
