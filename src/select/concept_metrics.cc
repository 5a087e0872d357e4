#include "select/concept_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "select/firing_pairs.h"

namespace safesail {
namespace {

/// The discordant features of each pair, as places in a list of `n_features` of them.
struct Discordance {
  std::size_t n_features = 0;
  std::vector<std::vector<std::int32_t>> forward;   ///< [pair] places that fire with the concept
  std::vector<std::vector<std::int32_t>> backward;  ///< [pair] in the counterpart
};

Discordance discordance(const PairFiring& firing, const Concept& concept_) {
  std::vector<std::int32_t> features;
  for (const std::size_t pair : concept_.pairs)
    for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
      if ((a > 0) != (b > 0)) features.push_back(feature);
    });
  std::ranges::sort(features);
  features.erase(std::unique(features.begin(), features.end()), features.end());
  const auto place = [&](std::int32_t feature) {
    return static_cast<std::int32_t>(std::ranges::lower_bound(features, feature) -
                                     features.begin());
  };
  Discordance result{.n_features = features.size()};
  for (const std::size_t pair : concept_.pairs) {
    auto& forward = result.forward.emplace_back();
    auto& backward = result.backward.emplace_back();
    for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
      if ((a > 0) != (b > 0)) (a > 0 ? forward : backward).push_back(place(feature));
    });
  }
  return result;
}

/// In how many pairs each feature is discordant, one way and the other.
struct Counts {
  std::vector<std::int64_t> forward, backward;
  std::int64_t n_pairs = 0;

  explicit Counts(std::size_t n_features) : forward(n_features), backward(n_features) {}
  void add(const std::vector<std::int32_t>& ahead, const std::vector<std::int32_t>& behind,
           std::int64_t times) {
    for (const std::int32_t place : ahead) forward[static_cast<std::size_t>(place)] += times;
    for (const std::int32_t place : behind) backward[static_cast<std::size_t>(place)] += times;
    n_pairs += times;
  }
};

Counts count(const Discordance& pairs) {
  Counts counts(pairs.n_features);
  for (std::size_t p = 0; p < pairs.forward.size(); ++p)
    counts.add(pairs.forward[p], pairs.backward[p], 1);
  return counts;
}

MetricNumbers unknown() {
  MetricNumbers numbers;
  numbers.fill(std::numeric_limits<double>::quiet_NaN());
  return numbers;
}

MetricNumbers observed_numbers(const Counts& counts, std::int64_t n_features) {
  if (counts.n_pairs == 0) return unknown();
  MetricNumbers result{};
  for (const std::int64_t n : counts.forward) {
    const double share = static_cast<double>(n) / static_cast<double>(counts.n_pairs);
    result[0] += share / static_cast<double>(n_features);
    for (std::size_t t = 0; t < kThresholds.size(); ++t) result[1 + t] += share > kThresholds[t];
  }
  return result;
}

/// The mean over all label swaps: a discordant pair counts in half of them, and a feature with n
/// discordant pairs passes a threshold as often as n coins do.
MetricNumbers null_numbers(const Counts& counts, std::int64_t n_features, FairCoins& coins) {
  if (counts.n_pairs == 0) return unknown();
  const auto n_pairs = static_cast<double>(counts.n_pairs);
  std::array<std::int64_t, kThresholds.size()> enough{};  // the fewest pairs beyond each threshold
  for (std::size_t t = 0; t < kThresholds.size(); ++t) {
    enough[t] = static_cast<std::int64_t>(kThresholds[t] * n_pairs);
    while (static_cast<double>(enough[t]) / n_pairs <= kThresholds[t]) ++enough[t];
  }
  std::vector<double> n_with(static_cast<std::size_t>(counts.n_pairs) + 1);
  for (std::size_t i = 0; i < counts.forward.size(); ++i)
    ++n_with[static_cast<std::size_t>(counts.forward[i] + counts.backward[i])];
  MetricNumbers result{};
  for (std::size_t n = 1; n < n_with.size(); ++n) {
    if (n_with[n] == 0) continue;
    result[0] += n_with[n] * static_cast<double>(n) / 2 / n_pairs / static_cast<double>(n_features);
    for (std::size_t t = 0; t < kThresholds.size(); ++t)
      result[1 + t] += n_with[n] * coins.at_least(enough[t], static_cast<std::int64_t>(n));
  }
  return result;
}

double reverse_i_cdf(const Counts& counts, std::int64_t n_features) {
  double sum = 0;
  for (const std::int64_t n : counts.backward) sum += static_cast<double>(n);
  return sum / static_cast<double>(counts.n_pairs) / static_cast<double>(n_features);
}

MetricDraws draw(const Discordance& pairs, std::int64_t n_features, const Concept& concept_,
                 const PairResamples& resamples, FairCoins& coins) {
  MetricDraws draws;
  for (std::size_t r = 0; r < resamples.n(); ++r) {
    Counts drawn(pairs.n_features), swapped(pairs.n_features);
    for (std::size_t p = 0; p < pairs.forward.size(); ++p) {
      const std::size_t pair = concept_.pairs[p];
      drawn.add(pairs.forward[p], pairs.backward[p], resamples.draw(r)[pair]);
      if (resamples.swap(r)[pair] == 0)
        swapped.add(pairs.forward[p], pairs.backward[p], 1);
      else
        swapped.add(pairs.backward[p], pairs.forward[p], 1);
    }
    draws.observed.push_back(observed_numbers(drawn, n_features));
    draws.null_mean.push_back(null_numbers(drawn, n_features, coins));
    draws.swapped.push_back(observed_numbers(swapped, n_features));
    draws.reverse.push_back(reverse_i_cdf(drawn, n_features));
  }
  return draws;
}

}  // namespace

NullComparison compare_with_null(double observed, double null_mean, std::size_t number,
                                 const MetricDraws& draws, const DrawnFrom& from) {
  std::vector<double> drawn, excess, swapped;
  for (std::size_t r = 0; r < draws.observed.size(); ++r) {
    drawn.push_back(draws.observed[r][number]);
    excess.push_back(draws.observed[r][number] - draws.null_mean[r][number]);
    swapped.push_back(draws.swapped[r][number]);
  }
  std::ranges::sort(swapped);
  return {.observed = drawn_interval(observed, drawn, from),
          .null_mean = null_mean,
          .null_low = quantile(swapped, 0.025),
          .null_high = quantile(swapped, 0.975),
          .excess = drawn_interval(observed - null_mean, excess, from)};
}

ConceptMetrics concept_metrics(const PairFiring& firing, const Concept& concept_,
                               const PairResamples& resamples, FairCoins& coins) {
  SAFESAIL_CHECK(!concept_.pairs.empty() && resamples.n() > 1);
  const Discordance pairs = discordance(firing, concept_);
  const Counts counts = count(pairs);
  const std::int64_t n_features = firing.n_features();
  const MetricNumbers observed = observed_numbers(counts, n_features),
                      null_mean = null_numbers(counts, n_features, coins);
  const DrawnFrom from = resamples.drawn_from(concept_.pairs);

  ConceptMetrics result{.n_pairs = concept_.pairs.size()};
  result.draws = draw(pairs, n_features, concept_, resamples, coins);
  result.i_cdf = compare_with_null(observed[0], null_mean[0], 0, result.draws, from);
  for (std::size_t t = 0; t < kThresholds.size(); ++t)
    result.l0_t[t] =
        compare_with_null(observed[1 + t], null_mean[1 + t], 1 + t, result.draws, from);
  result.reverse_i_cdf =
      drawn_interval(reverse_i_cdf(counts, n_features), result.draws.reverse, from);
  const auto n_as_large = std::ranges::count_if(
      result.draws.swapped,
      [&](const MetricNumbers& swapped) { return swapped[0] >= observed[0]; });
  result.p_value = static_cast<double>(1 + n_as_large) / static_cast<double>(1 + resamples.n());
  return result;
}

}  // namespace safesail
