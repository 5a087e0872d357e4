// The paper's claim, measured: do scores by segment agree with scores by token over features, and
// what does each scorer cost? Detection and fuzzing stand beside them.
//
// Correlations are over the features that have both scores; intervals hold 95 %, by resampling
// features. Costs are of all features asked about, those without a score included. Plain data and
// pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bootstrap.h"
#include "interpret/price.h"
#include "interpret/simulator.h"

namespace safesail {

inline constexpr std::array kComparedScorers = {Scorer::token, Scorer::segment, Scorer::detection,
                                                Scorer::fuzzing};

struct ScoredFeature {
  std::string feature;  ///< "mlp_out.17:16378"
  /// By Scorer, as ScoreResult::counted() gives them.
  std::array<std::optional<double>, 4> score;
};

struct ScorerCost {
  std::uint64_t n_requests = 0;
  TokenUsage usage;
  double money = 0;
};

struct ScorerAgreement {
  Scorer first = Scorer::token, second = Scorer::segment;
  std::size_t n_features = 0;
  Estimate spearman, pearson;  ///< NaN below three features or where one is constant
};

struct ScorerSummary {
  Scorer scorer = Scorer::token;
  std::size_t n_features = 0;  ///< that have a score
  Estimate mean;               ///< NaN where none has
  ScorerCost cost;
  // To those of token simulation; NaN where it cost nothing.
  double relative_tokens = 0, relative_money = 0;
};

struct ScorerComparison {
  std::string simulator, currency;
  std::size_t n_features = 0;
  std::vector<ScorerSummary> scorers;      ///< in the order of kComparedScorers
  std::vector<ScorerAgreement> agreement;  ///< of each pair of them
};

/// `cost` by Scorer.
ScorerComparison compare_scorers(std::span<const ScoredFeature> features,
                                 const std::array<ScorerCost, 4>& cost, std::string simulator,
                                 std::string currency, std::size_t n_resamples = 1000,
                                 std::uint64_t seed = 0);

/// For people; ends with what became of the paper's claim.
std::string comparison_table(const ScorerComparison& comparison);
std::string to_json(const ScorerComparison& comparison);

}  // namespace safesail
