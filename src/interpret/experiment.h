// The paper's claim, measured: do scores by segment agree with scores by token over features, and
// what does each cost? Detection and fuzzing stand beside them.
//
// What is compared are arms: a scorer that asks so many questions a request. More questions a
// request share the opening of the prompt, which saves for any scorer; so costs are per answered
// question, and the effect of the scorer (at equal batches) stands apart from that of the batch
// (of one scorer). Correlations and ratios are over the explanations that both arms have scored.
// Intervals hold 95 %, by resampling features with all their explanations. Plain data and pure
// functions.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bootstrap.h"
#include "formats/json.h"
#include "interpret/price.h"
#include "interpret/simulator.h"

namespace safesail {

inline constexpr std::array kComparedScorers = {Scorer::token, Scorer::segment, Scorer::detection,
                                                Scorer::fuzzing};

struct Arm {
  Scorer scorer = Scorer::token;
  std::int64_t batch = 0;  ///< questions a request; 0: not asked by requests

  bool operator==(const Arm&) const = default;
};
/// "token x6"
std::string to_string(const Arm& arm);

/// What an arm came to on one explanation.
struct ArmScore {
  std::optional<double> score;   ///< as ScoreResult::counted() gives it
  std::uint64_t n_answered = 0;  ///< questions
  SimulationCost cost;           ///< of all that were asked
};

struct ScoredExplanation {
  std::string feature;  ///< whose it is, unique over SAEs
  std::vector<std::pair<Arm, ArmScore>> arms;

  const ArmScore* find(const Arm& arm) const;
};

struct ArmSummary {
  Arm arm;
  std::size_t n_explanations = 0;  ///< that have a score
  Estimate mean;                   ///< NaN where none has
  std::uint64_t n_answered = 0;
  SimulationCost cost;
  double tokens_per_answer = 0, money_per_answer = 0;  ///< NaN where nothing was answered
};

struct ArmAgreement {
  Arm first, second;
  std::size_t n_explanations = 0;
  Estimate spearman, pearson;  ///< NaN below three features or where one is constant
};

/// The cost of an answered question by `second`, as a part of that by `first`.
struct CostRatio {
  Arm first, second;
  std::size_t n_explanations = 0;
  Estimate tokens, money;  ///< NaN where one cost nothing
};

struct ScorerComparison {
  std::string simulator, currency;
  std::size_t n_features = 0, n_explanations = 0;
  std::vector<ArmSummary> arms;         ///< by scorer in the order of kComparedScorers, then batch
  std::vector<ArmAgreement> agreement;  ///< of each pair of them
  std::vector<CostRatio> scorers;       ///< token against another scorer, at equal batches
  std::vector<CostRatio> batches;       ///< one scorer, the next smaller batch against the larger
};

ScorerComparison compare_scorers(std::span<const ScoredExplanation> explanations,
                                 std::string simulator, std::string currency,
                                 std::size_t n_resamples = 1000, std::uint64_t seed = 0);

/// For people; ends with what became of the paper's claim.
std::string comparison_table(const ScorerComparison& comparison);
Json to_json(const ScorerComparison& comparison);

}  // namespace safesail
