#include "run/probe.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "interpret/statistics.h"
#include "select/concept_metrics.h"

namespace safesail {
namespace {

/// Solves A x = b for a symmetric positive definite A [n, n] by Cholesky; both are overwritten.
std::vector<double> solve(std::vector<double>& a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t k = 0; k < j; ++k)
      for (std::size_t i = j; i < n; ++i) a[i * n + j] -= a[i * n + k] * a[j * n + k];
    const double pivot = std::sqrt(std::max(a[j * n + j], 1e-12));
    for (std::size_t i = j; i < n; ++i) a[i * n + j] /= pivot;
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

double dot(std::span<const double> weights, std::span<const double> row) {
  double sum = weights.back();
  for (std::size_t j = 0; j < row.size(); ++j) sum += weights[j] * row[j];
  return sum;
}

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

Estimate judge(const std::vector<double>& scores, const ProbeConfig& config) {
  Judged judged;
  for (std::size_t i = 0; i < scores.size(); ++i) judged.add(scores[i], i % 2 == 0 ? 1 : 0, i / 2);
  return estimate_auroc(judged, config.n_resamples, config.seed);
}

Estimate judge_logistic(Inputs train, Inputs test, const ProbeConfig& config) {
  standardise(train, test);
  const std::vector<double> weights =
      logistic_regression(train.x, train.n_columns, labels_of(train.n()), config.l2);
  std::vector<double> scores;
  for (std::size_t i = 0; i < test.n(); ++i) scores.push_back(dot(weights, test.row(i)));
  return judge(scores, config);
}

Estimate judge_mean_difference(const Inputs& train, const Inputs& test, const ProbeConfig& config) {
  std::vector<double> direction(train.n_columns + 1);
  for (std::size_t i = 0; i < train.n(); ++i)
    for (std::size_t j = 0; j < train.n_columns; ++j)
      direction[j] += (i % 2 == 0 ? 1 : -1) * train.row(i)[j];
  std::vector<double> scores;
  for (std::size_t i = 0; i < test.n(); ++i) scores.push_back(dot(direction, test.row(i)));
  return judge(scores, config);
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

std::vector<double> logistic_regression(std::span<const double> x, std::size_t n_columns,
                                        std::span<const std::uint8_t> labels, double l2) {
  const std::size_t n = labels.size(), m = n_columns + 1;
  SAFESAIL_CHECK(x.size() == n * n_columns);
  std::vector<double> weights(m);
  for (int iteration = 0; iteration < 50; ++iteration) {
    // Of the mean loss plus l2/2 |w|^2; the intercept is not held back.
    std::vector<double> gradient(m), hessian(m * m);
    for (std::size_t j = 0; j < n_columns; ++j) {
      gradient[j] = l2 * weights[j];
      hessian[j * m + j] = l2;
    }
    hessian[m * m - 1] = 1e-9;
    std::vector<double> row(m, 1.0);
    for (std::size_t i = 0; i < n; ++i) {
      std::ranges::copy(x.subspan(i * n_columns, n_columns), row.begin());
      const double p = 1 / (1 + std::exp(-dot(weights, std::span(row).first(n_columns))));
      const double error = (p - labels[i]) / static_cast<double>(n);
      const double curvature = p * (1 - p) / static_cast<double>(n);
      for (std::size_t j = 0; j < m; ++j) {
        gradient[j] += error * row[j];
        const double scaled = curvature * row[j];
        for (std::size_t k = 0; k <= j; ++k) hessian[j * m + k] += scaled * row[k];
      }
    }
    const std::vector<double> step = solve(hessian, gradient);
    double largest = 0;
    for (std::size_t j = 0; j < m; ++j) {
      weights[j] -= step[j];
      largest = std::max(largest, std::abs(step[j]));
    }
    if (largest < 1e-8) break;
  }
  return weights;
}

ProbeResult probe(const PairFiring& firing, std::span<const float> raw, std::int64_t d,
                  const std::vector<ContrastPair>& pairs, const Concept& one,
                  const ProbeConfig& config) {
  Concept train = one;
  train.pairs.clear();
  std::vector<std::size_t> test;
  for (const std::size_t pair : one.pairs) {
    // By the finest concept: a template or word seen in training must not be met again.
    const bool held_out =
        Rng(config.seed + hash64(pairs[pair].concept_), "held-out concept").uniform() <
        config.held_out_share;
    (held_out ? test : train.pairs).push_back(pair);
  }
  ProbeResult result{.n_train = train.pairs.size(), .n_test = test.size()};
  if (train.pairs.size() < 2 || test.size() < 2)
    bad_input("probe", "expected pairs of several finest concepts, so that some can be held out",
              "bring more pairs");
  ConceptMetrics metrics = concept_metrics(firing, train, {.n_resamples = 2, .min_discordant = 1});
  std::ranges::sort(metrics.tested, {}, [](const FeatureContrast& contrast) {
    return std::tuple(contrast.p, -contrast.n_forward, contrast.feature);
  });
  for (std::size_t i = 0; i < std::min<std::size_t>(20, metrics.tested.size()); ++i)
    result.best.push_back(metrics.tested[i].feature);
  const auto first = [&](std::size_t n) {
    return std::span<const std::int32_t>(result.best).first(std::min(n, result.best.size()));
  };
  if (!result.best.empty()) {
    result.one = judge(maxima(firing, test, first(1)).x, config);
    result.five = judge_logistic(maxima(firing, train.pairs, first(5)),
                                 maxima(firing, test, first(5)), config);
    result.twenty = judge_logistic(maxima(firing, train.pairs, first(20)),
                                   maxima(firing, test, first(20)), config);
  }
  const auto width = static_cast<std::size_t>(d);
  const Inputs raw_train = rows_of(raw, width, train.pairs), raw_test = rows_of(raw, width, test);
  result.mean_difference = judge_mean_difference(raw_train, raw_test, config);
  result.dense = judge_logistic(raw_train, raw_test, config);
  return result;
}

}  // namespace safesail
