#include "run/probe.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "interpret/statistics.h"
#include "run/logistic.h"
#include "select/feature_tests.h"

namespace safesail {
namespace {

/// Texts as rows of numbers; text 2 i is the i-th pair's with the concept.
struct Inputs {
  std::size_t n_columns = 0;
  std::vector<double> x;

  std::span<const double> row(std::size_t i) const {
    return std::span(x).subspan(i * n_columns, n_columns);
  }
  std::size_t n() const { return n_columns == 0 ? 0 : x.size() / n_columns; }
};

/// Mean 0 and variance 1 in training; a constant column stays 0.
void standardise(Inputs& train, Inputs& test) {
  for (std::size_t j = 0; j < train.n_columns; ++j) {
    double mean = 0, square = 0;
    const auto n = static_cast<double>(train.n());
    for (std::size_t i = 0; i < train.n(); ++i) mean += train.row(i)[j] / n;
    for (std::size_t i = 0; i < train.n(); ++i)
      square += (train.row(i)[j] - mean) * (train.row(i)[j] - mean) / n;
    const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
    for (Inputs* inputs : {&train, &test})
      for (std::size_t i = 0; i < inputs->n(); ++i) {
        double& value = inputs->x[i * inputs->n_columns + j];
        value = (value - mean) * scale;
      }
  }
}

std::vector<std::uint8_t> labels_of(std::size_t n_texts) {
  std::vector<std::uint8_t> labels(n_texts);
  for (std::size_t i = 0; i < n_texts; i += 2) labels[i] = 1;
  return labels;
}

/// Held-out scores, two a pair, with intervals from draws of what the pairs are samples of.
struct Judge {
  const std::vector<std::uint64_t>& drawn_with;  ///< of each held-out pair, its finest concept
  const ProbeConfig& config;

  Estimate operator()(const std::vector<double>& scores) const {
    Judged judged;
    for (std::size_t i = 0; i < scores.size(); ++i)
      judged.add(scores[i], i % 2 == 0 ? 1 : 0, drawn_with[i / 2]);
    return estimate_auroc(judged, config.n_resamples, config.seed);
  }
};

Estimate judge_logistic(Inputs train, Inputs test, const Judge& judge) {
  standardise(train, test);
  const std::vector<double> weights =
      logistic_regression(train.x, train.n_columns, labels_of(train.n()), judge.config.l2);
  std::vector<double> scores;
  for (std::size_t i = 0; i < test.n(); ++i) scores.push_back(linear_score(weights, test.row(i)));
  return judge(scores);
}

Estimate judge_mean_difference(const Inputs& train, const Inputs& test, const Judge& judge) {
  std::vector<double> direction(train.n_columns + 1);
  for (std::size_t i = 0; i < train.n(); ++i)
    for (std::size_t j = 0; j < train.n_columns; ++j)
      direction[j] += (i % 2 == 0 ? 1 : -1) * train.row(i)[j];
  std::vector<double> scores;
  for (std::size_t i = 0; i < test.n(); ++i) scores.push_back(linear_score(direction, test.row(i)));
  return judge(scores);
}

/// Maxima of `features` in the texts of `pairs`.
Inputs maxima(const PairFiring& firing, std::span<const std::size_t> pairs,
              std::span<const std::int32_t> features) {
  Inputs inputs{.n_columns = features.size(), .x = {}};
  for (const std::size_t pair : pairs)
    for (const auto fires : {firing.with_concept(pair), firing.counterpart(pair)})
      for (const std::int32_t feature : features) {
        const auto found =
            std::ranges::lower_bound(fires, feature, {}, &PairFiring::Firing::feature);
        inputs.x.push_back(found != fires.end() && found->feature == feature ? found->max : 0);
      }
  return inputs;
}

Inputs rows_of(std::span<const float> raw, std::size_t d, std::span<const std::size_t> pairs) {
  Inputs inputs{.n_columns = d, .x = {}};
  for (const std::size_t pair : pairs) {
    const auto both = raw.subspan(2 * pair * d, 2 * d);
    inputs.x.insert(inputs.x.end(), both.begin(), both.end());
  }
  return inputs;
}

}  // namespace

ProbeResult probe(const PairFiring& firing, std::span<const float> raw, std::int64_t d,
                  const std::vector<ContrastPair>& pairs, const Concept& train, const Concept& test,
                  const ProbeConfig& config) {
  std::vector<std::uint64_t> drawn_with;
  for (const std::size_t pair : test.pairs) drawn_with.push_back(hash64(pairs[pair].concept_));
  ProbeResult result{.n_train = train.pairs.size(), .n_test = test.pairs.size()};
  if (train.pairs.size() < 2 || test.pairs.size() < 2)
    bad_input("probe", "expected pairs of several finest concepts, so that some can be held out",
              "bring more pairs, or hold out more or fewer (--held-out)");
  const std::vector<Concept> alone = {train};
  std::vector<FeatureContrast> tested =
      test_features(firing, alone, 0, count_firing(firing, alone), {.min_discordant = 1});
  std::ranges::sort(tested, {}, [](const FeatureContrast& contrast) {
    return std::tuple(contrast.p_contrast, -contrast.n_forward, contrast.feature);
  });
  for (std::size_t i = 0; i < std::min<std::size_t>(20, tested.size()); ++i)
    result.best.push_back(tested[i].feature);
  const auto first = [&](std::size_t n) {
    return std::span<const std::int32_t>(result.best).first(std::min(n, result.best.size()));
  };
  const Judge judge{drawn_with, config};
  if (!result.best.empty()) {
    result.one = judge(maxima(firing, test.pairs, first(1)).x);
    result.five = judge_logistic(maxima(firing, train.pairs, first(5)),
                                 maxima(firing, test.pairs, first(5)), judge);
    result.twenty = judge_logistic(maxima(firing, train.pairs, first(20)),
                                   maxima(firing, test.pairs, first(20)), judge);
  }
  const auto width = static_cast<std::size_t>(d);
  const Inputs raw_train = rows_of(raw, width, train.pairs),
               raw_test = rows_of(raw, width, test.pairs);
  result.mean_difference = judge_mean_difference(raw_train, raw_test, judge);
  result.dense = judge_logistic(raw_train, raw_test, judge);
  return result;
}

}  // namespace safesail
