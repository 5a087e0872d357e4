#include "interpret/experiment.h"

#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/rng.h"
#include "formats/json.h"
#include "interpret/statistics.h"

namespace safesail {
namespace {

// The paper: 55 % cheaper. Highly correlated, here: a Spearman of 0.9.
constexpr double kClaimedSaving = 0.55, kClaimedSpearman = 0.9;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::size_t index_of(Scorer scorer) {
  return static_cast<std::size_t>(scorer);
}

/// Scores of the same features by two scorers.
struct Paired {
  std::vector<double> first, second;
};

Paired pair_up(std::span<const ScoredFeature> features, Scorer first, Scorer second) {
  Paired paired;
  for (const ScoredFeature& feature : features) {
    const std::optional<double>&a = feature.score[index_of(first)],
          &b = feature.score[index_of(second)];
    if (!a || !b) continue;
    paired.first.push_back(*a);
    paired.second.push_back(*b);
  }
  return paired;
}

/// Of a statistic of features, by drawing features with replacement.
template <class Statistic>
Estimate estimate(const Paired& paired, std::size_t n_resamples, std::uint64_t seed,
                  const Statistic& statistic) {
  constexpr std::size_t kFewest = 3;
  const std::size_t n = paired.first.size();
  if (n < kFewest) return {.value = kNone};
  Rng rng(seed, "bootstrap features");
  std::vector<double> resampled;
  Paired drawn = paired;
  for (std::size_t r = 0; r < n_resamples; ++r) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t from = rng.below(n);
      drawn.first[i] = paired.first[from];
      drawn.second[i] = paired.second[from];
    }
    resampled.push_back(statistic(drawn));
  }
  return percentile_interval(statistic(paired), std::move(resampled));
}

double mean_of_first(const Paired& paired) {
  double sum = 0;
  for (const double value : paired.first) sum += value;
  return sum / static_cast<double>(paired.first.size());
}

double ratio(double a, double b) {
  return b > 0 ? a / b : kNone;
}

std::string shown(double value) {
  return std::isfinite(value) ? fmt::format("{:.2f}", value) : "-";
}
std::string shown(const Estimate& estimate) {
  return estimate.has_interval()
             ? fmt::format("{:.2f} [{:.2f}, {:.2f}]", estimate.value, estimate.low, estimate.high)
             : shown(estimate.value);
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

std::string claim(const ScorerComparison& comparison) {
  const ScorerSummary& segment = comparison.scorers[1];
  const double spearman = comparison.agreement[0].spearman.value;
  // Money where a price is known; it weighs what tokens cost.
  const bool priced = std::isfinite(segment.relative_money);
  const double saving = 1 - (priced ? segment.relative_money : segment.relative_tokens);
  if (!std::isfinite(saving) || !std::isfinite(spearman))
    return "Segments against tokens: not enough was measured to tell.\n";
  return fmt::format(
      "Segments against tokens: {:.0f} % {} ({}), Spearman {:.2f}. Claimed are {:.0f} % cheaper at "
      "{}: {}.\n",
      100 * std::abs(saving), saving >= 0 ? "cheaper" : "dearer", priced ? "money" : "tokens",
      spearman, 100 * kClaimedSaving, kClaimedSpearman,
      saving >= kClaimedSaving && spearman >= kClaimedSpearman ? "reached" : "not reached");
}

}  // namespace

ScorerComparison compare_scorers(std::span<const ScoredFeature> features,
                                 const std::array<ScorerCost, 4>& cost, std::string simulator,
                                 std::string currency, std::size_t n_resamples,
                                 std::uint64_t seed) {
  ScorerComparison comparison{.simulator = std::move(simulator),
                              .currency = std::move(currency),
                              .n_features = features.size()};
  const ScorerCost& token_cost = cost[index_of(Scorer::token)];
  for (std::size_t i = 0; i < kComparedScorers.size(); ++i) {
    const Paired own = pair_up(features, kComparedScorers[i], kComparedScorers[i]);
    const ScorerCost& paid = cost[index_of(kComparedScorers[i])];
    comparison.scorers.push_back(
        {.scorer = kComparedScorers[i],
         .n_features = own.first.size(),
         .mean = estimate(own, n_resamples, seed, mean_of_first),
         .cost = paid,
         .relative_tokens = ratio(static_cast<double>(paid.usage.total()),
                                  static_cast<double>(token_cost.usage.total())),
         .relative_money = ratio(paid.money, token_cost.money)});
    for (std::size_t j = i + 1; j < kComparedScorers.size(); ++j) {
      const Paired both = pair_up(features, kComparedScorers[i], kComparedScorers[j]);
      comparison.agreement.push_back(
          {.first = kComparedScorers[i],
           .second = kComparedScorers[j],
           .n_features = both.first.size(),
           .spearman = estimate(both, n_resamples, seed,
                                [](const Paired& p) { return spearman(p.first, p.second); }),
           .pearson = estimate(both, n_resamples, seed,
                               [](const Paired& p) { return pearson(p.first, p.second); })});
    }
  }
  return comparison;
}

std::string comparison_table(const ScorerComparison& comparison) {
  std::string text =
      fmt::format("{} features, simulator {}\n\n", comparison.n_features, comparison.simulator);
  text += fmt::format("{:10} {:>8} {:>20} {:>9} {:>11} {:>9} {:>11} {:>7} {:>12} {:>7}\n", "scorer",
                      "features", "mean", "requests", "prompt", "cached", "completion", "x token",
                      comparison.currency.empty() ? "money" : comparison.currency, "x token");
  for (const ScorerSummary& row : comparison.scorers)
    if (row.n_features > 0 || row.cost.n_requests > 0)
      text +=
          fmt::format("{:10} {:>8} {:>20} {:>9} {:>11} {:>9} {:>11} {:>7} {:>12.4f} {:>7}\n",
                      to_string(row.scorer), row.n_features, shown(row.mean), row.cost.n_requests,
                      row.cost.usage.prompt, row.cost.usage.cached, row.cost.usage.completion,
                      shown(row.relative_tokens), row.cost.money, shown(row.relative_money));
  text += fmt::format("\n{:22} {:>8} {:>20} {:>20}\n", "agreement over features", "features",
                      "Spearman", "Pearson");
  for (const ScorerAgreement& row : comparison.agreement)
    if (row.n_features > 0)
      text += fmt::format("{:23} {:>8} {:>20} {:>20}\n",
                          fmt::format("{} - {}", to_string(row.first), to_string(row.second)),
                          row.n_features, shown(row.spearman), shown(row.pearson));
  return text + "\n" + claim(comparison);
}

std::string to_json(const ScorerComparison& comparison) {
  Json json = {{"simulator", comparison.simulator},
               {"n_features", comparison.n_features},
               {"currency", comparison.currency},
               {"scorers", Json::array()},
               {"agreement", Json::array()}};
  for (const ScorerSummary& row : comparison.scorers)
    json["scorers"].push_back({{"scorer", to_string(row.scorer)},
                               {"n_features", row.n_features},
                               {"mean", interval(row.mean)},
                               {"n_requests", row.cost.n_requests},
                               {"prompt_tokens", row.cost.usage.prompt},
                               {"cached_tokens", row.cost.usage.cached},
                               {"completion_tokens", row.cost.usage.completion},
                               {"reasoning_tokens", row.cost.usage.reasoning},
                               {"money", row.cost.money},
                               {"relative_tokens", number(row.relative_tokens)},
                               {"relative_money", number(row.relative_money)}});
  for (const ScorerAgreement& row : comparison.agreement)
    json["agreement"].push_back({{"first", to_string(row.first)},
                                 {"second", to_string(row.second)},
                                 {"n_features", row.n_features},
                                 {"spearman", interval(row.spearman)},
                                 {"pearson", interval(row.pearson)}});
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace safesail
