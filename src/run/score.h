// The stage `score`: every explanation that lacks a score by this simulator gets one, on the test
// windows of its feature, with the floor beside it. Each is written when it is there.
#pragma once

#include <stop_token>
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
  std::size_t n_most = 0;  ///< explanations a scorer; 0: all
};

struct ScoreCounts {
  std::size_t n_scored = 0, n_without = 0;  ///< without: too few windows or answers
};

ScoreCounts score_explanations(Simulator& simulator, const ScoreConfig& config, Atlas& atlas,
                               Reporter& reporter, std::stop_token stop);

/// What score_explanations() would probably cost. The floor's questions are the same with another
/// explanation, so that they are counted too.
CostEstimate estimate_scoring(LlmSimulator& simulator, const ScoreConfig& config, Atlas& atlas);

}  // namespace safesail
