#include "interpret/experiment.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "base/rng.h"
#include "formats/json.h"
#include "interpret/statistics.h"

namespace safesail {
namespace {

// The paper: 55 % cheaper. Highly correlated, here: a Spearman of 0.9.
constexpr double kClaimedSaving = 0.55, kClaimedSpearman = 0.9;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

using Members = std::vector<const ScoredExplanation*>;
using Statistic = std::function<double(const Members&)>;

/// Of a statistic of explanations, by drawing features with replacement.
Estimate estimate(const Members& members, std::size_t n_resamples, std::uint64_t seed,
                  const Statistic& statistic) {
  constexpr std::size_t kFewest = 3;
  std::map<std::string_view, Members> by_feature;
  for (const ScoredExplanation* member : members) by_feature[member->feature].push_back(member);
  if (by_feature.size() < kFewest) return {.value = kNone};
  std::vector<const Members*> features;
  for (const auto& [name, own] : by_feature) features.push_back(&own);
  Rng rng(seed, "bootstrap features");
  std::vector<double> resampled;
  Members drawn;
  for (std::size_t r = 0; r < n_resamples; ++r) {
    drawn.clear();
    for (std::size_t i = 0; i < features.size(); ++i) {
      const Members& own = *features[rng.below(features.size())];
      drawn.insert(drawn.end(), own.begin(), own.end());
    }
    resampled.push_back(statistic(drawn));
  }
  return percentile_interval(statistic(members), std::move(resampled));
}

std::vector<double> scores_of(const Members& members, const Arm& arm) {
  std::vector<double> scores;
  for (const ScoredExplanation* member : members) scores.push_back(*member->find(arm)->score);
  return scores;
}

bool has_score(const ScoredExplanation& explanation, const Arm& arm) {
  const ArmScore* const found = explanation.find(arm);
  return found != nullptr && found->score.has_value();
}

bool has_answers(const ScoredExplanation& explanation, const Arm& arm) {
  const ArmScore* const found = explanation.find(arm);
  return found != nullptr && found->n_answered > 0;
}

template <class Condition>
Members members_of(std::span<const ScoredExplanation> explanations, const Condition& condition) {
  Members members;
  for (const ScoredExplanation& one : explanations)
    if (condition(one)) members.push_back(&one);
  return members;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? kNone : sum / static_cast<double>(values.size());
}

double quotient(double a, double b) {
  return b > 0 ? a / b : kNone;
}

struct Sum {
  SimulationCost cost;
  std::uint64_t n_answered = 0;

  double tokens() const {
    return quotient(static_cast<double>(cost.usage.total()), static_cast<double>(n_answered));
  }
  double money() const { return quotient(cost.money, static_cast<double>(n_answered)); }
};

Sum sum_of(const Members& members, const Arm& arm) {
  Sum sum;
  for (const ScoredExplanation* member : members)
    if (const ArmScore* const found = member->find(arm)) {
      sum.cost += found->cost;
      sum.n_answered += found->n_answered;
    }
  return sum;
}

std::vector<Arm> arms_of(std::span<const ScoredExplanation> explanations) {
  std::vector<Arm> arms;
  for (const ScoredExplanation& one : explanations)
    for (const auto& [arm, score] : one.arms)
      if (std::ranges::find(arms, arm) == arms.end()) arms.push_back(arm);
  std::ranges::sort(arms, {}, [](const Arm& arm) {
    return std::pair(std::ranges::find(kComparedScorers, arm.scorer) - kComparedScorers.begin(),
                     arm.batch);
  });
  return arms;
}

CostRatio ratio_of(std::span<const ScoredExplanation> explanations, const Arm& first,
                   const Arm& second, std::size_t n_resamples, std::uint64_t seed) {
  const Members both = members_of(explanations, [&](const ScoredExplanation& one) {
    return has_answers(one, first) && has_answers(one, second);
  });
  const auto of = [&](double (Sum::*what)() const) {
    return estimate(both, n_resamples, seed, [&, what](const Members& members) {
      return quotient((sum_of(members, second).*what)(), (sum_of(members, first).*what)());
    });
  };
  return {.first = first,
          .second = second,
          .n_explanations = both.size(),
          .tokens = of(&Sum::tokens),
          .money = of(&Sum::money)};
}

ArmAgreement agreement_of(std::span<const ScoredExplanation> explanations, const Arm& first,
                          const Arm& second, std::size_t n_resamples, std::uint64_t seed) {
  const Members both = members_of(explanations, [&](const ScoredExplanation& one) {
    return has_score(one, first) && has_score(one, second);
  });
  const auto of = [&](double (*statistic)(std::span<const double>, std::span<const double>)) {
    return estimate(both, n_resamples, seed, [&, statistic](const Members& members) {
      return statistic(scores_of(members, first), scores_of(members, second));
    });
  };
  return {.first = first,
          .second = second,
          .n_explanations = both.size(),
          .spearman = of(spearman),
          .pearson = of(pearson)};
}

std::string shown(double value) {
  return std::isfinite(value) ? fmt::format("{:.2f}", value) : "-";
}
std::string shown(const Estimate& estimate) {
  return estimate.has_interval()
             ? fmt::format("{:.2f} [{:.2f}, {:.2f}]", estimate.value, estimate.low, estimate.high)
             : shown(estimate.value);
}
std::string precise(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "-";
}

/// NaN has no place in JSON.
Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}
Json interval(const Estimate& estimate) {
  return {{"value", number(estimate.value)},
          {"low", number(estimate.low)},
          {"high", number(estimate.high)}};
}
Json json_of(const Arm& arm) {
  return {{"scorer", to_string(arm.scorer)}, {"batch", arm.batch}};
}
Json json_of(const std::vector<CostRatio>& ratios) {
  Json list = Json::array();
  for (const CostRatio& row : ratios)
    list.push_back({{"first", json_of(row.first)},
                    {"second", json_of(row.second)},
                    {"n_explanations", row.n_explanations},
                    {"tokens", interval(row.tokens)},
                    {"money", interval(row.money)}});
  return list;
}

/// Money where a price is known; it weighs what tokens cost.
const Estimate& cost_of(const CostRatio& ratio) {
  return std::isfinite(ratio.money.value) ? ratio.money : ratio.tokens;
}
std::string change(const CostRatio& ratio) {
  const double saving = 1 - cost_of(ratio).value;
  return fmt::format("{:.0f} % {} a question ({})", 100 * std::abs(saving),
                     saving >= 0 ? "cheaper" : "dearer",
                     &cost_of(ratio) == &ratio.money ? "money" : "tokens");
}

/// One sentence a batch that both scorers were asked in, then one a pair of batches.
std::string claim(const ScorerComparison& comparison) {
  std::string text;
  for (const CostRatio& ratio : comparison.scorers) {
    if (ratio.second.scorer != Scorer::segment || !std::isfinite(cost_of(ratio).value)) continue;
    const auto agreement = std::ranges::find_if(comparison.agreement, [&](const ArmAgreement& row) {
      return row.first == ratio.first && row.second == ratio.second;
    });
    const double rho = agreement == comparison.agreement.end() ? kNone : agreement->spearman.value;
    if (!std::isfinite(rho)) continue;
    text += fmt::format(
        "Segments against tokens, {} questions a request: {}, Spearman {:.2f}. Claimed are "
        "{:.0f} % cheaper at {}: {}.\n",
        ratio.first.batch, change(ratio), rho, 100 * kClaimedSaving, kClaimedSpearman,
        1 - cost_of(ratio).value >= kClaimedSaving && rho >= kClaimedSpearman ? "reached"
                                                                              : "not reached");
  }
  if (text.empty()) text = "Segments against tokens: not enough was measured to tell.\n";
  for (const CostRatio& ratio : comparison.batches)
    if (std::isfinite(cost_of(ratio).value))
      text += fmt::format("Batching, {}: {} questions a request instead of {} are {}.\n",
                          to_string(ratio.first.scorer), ratio.second.batch, ratio.first.batch,
                          change(ratio));
  return text;
}

}  // namespace

std::string to_string(const Arm& arm) {
  return arm.batch == 0 ? std::string(to_string(arm.scorer))
                        : fmt::format("{} x{}", to_string(arm.scorer), arm.batch);
}

const ArmScore* ScoredExplanation::find(const Arm& arm) const {
  const auto found = std::ranges::find(arms, arm, &std::pair<Arm, ArmScore>::first);
  return found == arms.end() ? nullptr : &found->second;
}

ScorerComparison compare_scorers(std::span<const ScoredExplanation> explanations,
                                 std::string simulator, std::string currency,
                                 std::size_t n_resamples, std::uint64_t seed) {
  ScorerComparison comparison{.simulator = std::move(simulator),
                              .currency = std::move(currency),
                              .n_explanations = explanations.size()};
  std::set<std::string_view> features;
  for (const ScoredExplanation& one : explanations) features.insert(one.feature);
  comparison.n_features = features.size();

  const std::vector<Arm> arms = arms_of(explanations);
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const Arm& arm = arms[i];
    const Members scored =
        members_of(explanations, [&](const ScoredExplanation& one) { return has_score(one, arm); });
    const Sum sum = sum_of(members_of(explanations, [](const auto&) { return true; }), arm);
    comparison.arms.push_back(
        {.arm = arm,
         .n_explanations = scored.size(),
         .mean = estimate(scored, n_resamples, seed,
                          [&](const Members& members) { return mean(scores_of(members, arm)); }),
         .n_answered = sum.n_answered,
         .cost = sum.cost,
         .tokens_per_answer = sum.tokens(),
         .money_per_answer = sum.money()});
    for (std::size_t j = i + 1; j < arms.size(); ++j) {
      comparison.agreement.push_back(agreement_of(explanations, arm, arms[j], n_resamples, seed));
      if (arm.scorer == Scorer::token && arms[j].scorer != Scorer::token &&
          arms[j].batch == arm.batch)
        comparison.scorers.push_back(ratio_of(explanations, arm, arms[j], n_resamples, seed));
      if (arms[j].scorer == arm.scorer && j == i + 1)
        comparison.batches.push_back(ratio_of(explanations, arm, arms[j], n_resamples, seed));
    }
  }
  return comparison;
}

std::string comparison_table(const ScorerComparison& comparison) {
  std::string text =
      fmt::format("{} explanations of {} features, simulator {}\n\n", comparison.n_explanations,
                  comparison.n_features, comparison.simulator);
  text +=
      fmt::format("{:14} {:>6} {:>20} {:>8} {:>9} {:>10} {:>10} {:>10} {:>9} {:>9}\n", "scorer",
                  "scores", "mean", "requests", "answered", "prompt", "cached", "completion",
                  "tokens/a", comparison.currency.empty() ? "money/a" : comparison.currency + "/a");
  for (const ArmSummary& row : comparison.arms)
    text += fmt::format("{:14} {:>6} {:>20} {:>8} {:>9} {:>10} {:>10} {:>10} {:>9} {:>9}\n",
                        to_string(row.arm), row.n_explanations, shown(row.mean),
                        row.cost.n_requests, row.n_answered, row.cost.usage.prompt,
                        row.cost.usage.cached, row.cost.usage.completion,
                        precise(row.tokens_per_answer), precise(row.money_per_answer));
  const auto ratios = [&](const char* title, const std::vector<CostRatio>& rows) {
    if (rows.empty()) return;
    text += fmt::format("\n{:31} {:>6} {:>20} {:>20}\n", title, "scores", "tokens", "money");
    for (const CostRatio& row : rows)
      text += fmt::format("{:31} {:>6} {:>20} {:>20}\n",
                          fmt::format("{} : {}", to_string(row.second), to_string(row.first)),
                          row.n_explanations, shown(row.tokens), shown(row.money));
  };
  ratios("cost of an answer, by scorer", comparison.scorers);
  ratios("cost of an answer, by batch", comparison.batches);
  text += fmt::format("\n{:31} {:>6} {:>20} {:>20}\n", "agreement over features", "scores",
                      "Spearman", "Pearson");
  for (const ArmAgreement& row : comparison.agreement)
    if (row.n_explanations > 0)
      text += fmt::format("{:31} {:>6} {:>20} {:>20}\n",
                          fmt::format("{} - {}", to_string(row.first), to_string(row.second)),
                          row.n_explanations, shown(row.spearman), shown(row.pearson));
  return text + "\n" + claim(comparison);
}

Json to_json(const ScorerComparison& comparison) {
  Json json = {{"simulator", comparison.simulator},
               {"n_features", comparison.n_features},
               {"n_explanations", comparison.n_explanations},
               {"currency", comparison.currency},
               {"arms", Json::array()},
               {"agreement", Json::array()},
               {"cost_by_scorer", json_of(comparison.scorers)},
               {"cost_by_batch", json_of(comparison.batches)}};
  for (const ArmSummary& row : comparison.arms)
    json["arms"].push_back({{"scorer", to_string(row.arm.scorer)},
                            {"batch", row.arm.batch},
                            {"n_explanations", row.n_explanations},
                            {"mean", interval(row.mean)},
                            {"n_requests", row.cost.n_requests},
                            {"n_answered", row.n_answered},
                            {"prompt_tokens", row.cost.usage.prompt},
                            {"cached_tokens", row.cost.usage.cached},
                            {"completion_tokens", row.cost.usage.completion},
                            {"reasoning_tokens", row.cost.usage.reasoning},
                            {"money", row.cost.money},
                            {"tokens_per_answer", number(row.tokens_per_answer)},
                            {"money_per_answer", number(row.money_per_answer)}});
  for (const ArmAgreement& row : comparison.agreement)
    json["agreement"].push_back({{"first", json_of(row.first)},
                                 {"second", json_of(row.second)},
                                 {"n_explanations", row.n_explanations},
                                 {"spearman", interval(row.spearman)},
                                 {"pearson", interval(row.pearson)}});
  return json;
}

}  // namespace safesail
