#include "select/concept_metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "base/rng.h"
#include "select/significance.h"

namespace safesail {
namespace {

/// The discordant features of each pair, as places in `features`.
struct Discordance {
  std::vector<std::int32_t> features;               ///< rising: all that are discordant in a pair
  std::vector<std::vector<std::int32_t>> forward;   ///< [pair] places that fire with the concept
  std::vector<std::vector<std::int32_t>> backward;  ///< [pair] in the counterpart
};

/// Calls with (feature, max with the concept, max in the counterpart) for all that fire in either.
template <class Function>
void for_each_firing(const PairFiring& firing, std::size_t pair, Function&& function) {
  const auto a = firing.with_concept(pair), b = firing.counterpart(pair);
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a[i].feature < b[j].feature)) {
      function(a[i].feature, a[i].max, 0.0F);
      ++i;
    } else if (i == a.size() || b[j].feature < a[i].feature) {
      function(b[j].feature, 0.0F, b[j].max);
      ++j;
    } else {
      function(a[i].feature, a[i].max, b[j].max);
      ++i, ++j;
    }
  }
}

Discordance discordance(const PairFiring& firing, const Concept& one) {
  Discordance result;
  std::vector<std::int32_t>& features = result.features;
  for (const std::size_t pair : one.pairs)
    for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
      if ((a > 0) != (b > 0)) features.push_back(feature);
    });
  std::ranges::sort(features);
  features.erase(std::unique(features.begin(), features.end()), features.end());
  const auto place = [&](std::int32_t feature) {
    return static_cast<std::int32_t>(std::ranges::lower_bound(features, feature) -
                                     features.begin());
  };
  for (const std::size_t pair : one.pairs) {
    auto& forward = result.forward.emplace_back();
    auto& backward = result.backward.emplace_back();
    for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
      if ((a > 0) != (b > 0)) (a > 0 ? forward : backward).push_back(place(feature));
    });
  }
  return result;
}

/// What a labelling of the pairs gives.
MetricNumbers numbers(const std::vector<std::int64_t>& n_forward, std::size_t n_pairs,
                      std::int64_t n_features) {
  MetricNumbers result{};
  for (const std::int64_t n : n_forward) {
    const double share = static_cast<double>(n) / static_cast<double>(n_pairs);
    result[0] += share / static_cast<double>(n_features);
    for (std::size_t t = 0; t < kThresholds.size(); ++t) result[1 + t] += share > kThresholds[t];
  }
  return result;
}

/// 2.5 % and 97.5 % of `values`.
std::pair<double, double> middle(std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double p) {
    return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))];
  };
  return {at(0.025), at(0.975)};
}

Estimate with_standard_error(double value, const std::vector<double>& drawn) {
  double mean = 0, square = 0;
  for (const double one : drawn) mean += one / static_cast<double>(drawn.size());
  for (const double one : drawn) square += (one - mean) * (one - mean);
  const double error = std::sqrt(square / static_cast<double>(drawn.size() - 1));
  return {.value = value, .low = value - 1.96 * error, .high = value + 1.96 * error};
}

struct Resampled {
  std::vector<MetricNumbers> swapped, drawn;
  std::vector<double> reverse;  ///< reverse I_CDF of the drawn pairs
};

Resampled resample(const Discordance& pairs, std::int64_t n_features, const Concept& one,
                   const MetricsConfig& config) {
  const std::size_t n_pairs = pairs.forward.size();
  Rng rng(config.seed, "resamples of " + one.name + " in " + one.language);
  Resampled result;
  std::vector<std::int64_t> count(pairs.features.size());
  const auto add = [&](const std::vector<std::int32_t>& places) {
    for (const std::int32_t place : places) ++count[static_cast<std::size_t>(place)];
  };
  for (std::size_t r = 0; r < config.n_resamples; ++r) {
    std::ranges::fill(count, 0);
    for (std::size_t p = 0; p < n_pairs; ++p)
      add(rng.below(2) == 0 ? pairs.forward[p] : pairs.backward[p]);
    result.swapped.push_back(numbers(count, n_pairs, n_features));

    std::ranges::fill(count, 0);
    double n_reverse = 0;
    for (std::size_t p = 0; p < n_pairs; ++p) {
      const auto drawn = static_cast<std::size_t>(rng.below(n_pairs));
      add(pairs.forward[drawn]);
      n_reverse += static_cast<double>(pairs.backward[drawn].size());
    }
    result.drawn.push_back(numbers(count, n_pairs, n_features));
    result.reverse.push_back(n_reverse / static_cast<double>(n_pairs) /
                             static_cast<double>(n_features));
  }
  return result;
}

std::vector<double> column(const std::vector<MetricNumbers>& rows, std::size_t number) {
  std::vector<double> values;
  for (const MetricNumbers& row : rows) values.push_back(row[number]);
  return values;
}

/// Effects of the features in `tested`, filled in.
void add_effects(const PairFiring& firing, const Concept& one,
                 std::vector<FeatureContrast>& tested) {
  struct Sum {
    double difference = 0;
    float largest = 0;
  };
  std::unordered_map<std::int32_t, Sum> sums;
  for (const FeatureContrast& contrast : tested) sums[contrast.feature] = {};
  for (const std::size_t pair : one.pairs)
    for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
      if (const auto found = sums.find(feature); found != sums.end()) {
        found->second.difference += static_cast<double>(a) - static_cast<double>(b);
        found->second.largest = std::max({found->second.largest, a, b});
      }
    });
  for (FeatureContrast& contrast : tested) {
    const Sum& sum = sums[contrast.feature];
    contrast.effect =
        sum.difference / static_cast<double>(one.pairs.size()) / static_cast<double>(sum.largest);
  }
}

std::vector<FeatureContrast> test_features(const PairFiring& firing, const Concept& one,
                                           const Discordance& pairs, const MetricsConfig& config) {
  std::vector<FeatureContrast> all(pairs.features.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i].feature = pairs.features[i];
  for (const auto& places : pairs.forward)
    for (const std::int32_t place : places) ++all[static_cast<std::size_t>(place)].n_forward;
  for (const auto& places : pairs.backward)
    for (const std::int32_t place : places) ++all[static_cast<std::size_t>(place)].n_reverse;

  std::vector<FeatureContrast> tested;
  std::vector<double> p;
  for (FeatureContrast& contrast : all) {
    if (contrast.n_forward + contrast.n_reverse < config.min_discordant) continue;
    contrast.p = sign_test(contrast.n_forward, contrast.n_reverse);
    p.push_back(contrast.p);
    tested.push_back(contrast);
  }
  const std::vector<double> q = benjamini_hochberg(p);
  for (std::size_t i = 0; i < tested.size(); ++i) tested[i].q = q[i];
  add_effects(firing, one, tested);
  return tested;
}

}  // namespace

AgainstNull against_null(double observed, const std::vector<double>& drawn,
                         const std::vector<double>& swapped) {
  AgainstNull result;
  result.observed = with_standard_error(observed, drawn);
  for (const double value : swapped)
    result.null_mean += value / static_cast<double>(swapped.size());
  std::tie(result.null_low, result.null_high) = middle(swapped);
  return result;
}

ConceptMetrics concept_metrics(const PairFiring& firing, const Concept& one,
                               const MetricsConfig& config) {
  SAFESAIL_CHECK(!one.pairs.empty() && config.n_resamples > 1);
  const Discordance pairs = discordance(firing, one);
  std::vector<std::int64_t> n_forward(pairs.features.size());
  double n_reverse = 0;
  for (const auto& places : pairs.forward)
    for (const std::int32_t place : places) ++n_forward[static_cast<std::size_t>(place)];
  for (const auto& places : pairs.backward) n_reverse += static_cast<double>(places.size());

  ConceptMetrics result{.n_pairs = one.pairs.size()};
  const MetricNumbers observed = numbers(n_forward, result.n_pairs, firing.n_features());
  Resampled resampled = resample(pairs, firing.n_features(), one, config);
  const auto judge = [&](std::size_t number) {
    return against_null(observed[number], column(resampled.drawn, number),
                        column(resampled.swapped, number));
  };
  result.i_cdf = judge(0);
  for (std::size_t t = 0; t < kThresholds.size(); ++t) result.l0_t[t] = judge(1 + t);
  result.reverse_i_cdf.value =
      n_reverse / static_cast<double>(result.n_pairs) / static_cast<double>(firing.n_features());
  const auto n_as_large = std::ranges::count_if(
      resampled.swapped, [&](const MetricNumbers& swapped) { return swapped[0] >= observed[0]; });
  result.p_value =
      static_cast<double>(1 + n_as_large) / static_cast<double>(1 + resampled.swapped.size());

  result.drawn = std::move(resampled.drawn);
  result.swapped = std::move(resampled.swapped);

  result.tested = test_features(firing, one, pairs, config);
  for (const FeatureContrast& contrast : result.tested)
    if (contrast.q <= config.false_discovery_rate) result.candidates.push_back(contrast);
  std::ranges::sort(result.candidates, {}, [](const FeatureContrast& contrast) {
    return std::tuple(contrast.q, -contrast.n_forward, contrast.feature);
  });
  return result;
}

}  // namespace safesail
