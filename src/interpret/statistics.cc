#include "interpret/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/rng.h"

namespace safesail {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr double kYes = 0.5;

/// Indices that sort `values`.
std::vector<std::size_t> order_of(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  return order;
}

/// The end of the run of equal values that begins at order[begin].
std::size_t end_of_ties(std::span<const double> values, const std::vector<std::size_t>& order,
                        std::size_t begin) {
  std::size_t end = begin + 1;
  while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
  return end;
}

/// The area, with the units in the order of their prediction and weight(i) copies of unit i.
template <class Weight>
double area(std::span<const double> predicted, std::span<const double> truth,
            const std::vector<std::size_t>& order, const Weight& weight) {
  double n_positive = 0, n_negative = 0, n_pairs_right = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    const std::size_t end = end_of_ties(predicted, order, begin);
    double tied_positive = 0, tied_negative = 0;
    for (; begin < end; ++begin)
      (truth[order[begin]] > 0 ? tied_positive : tied_negative) += weight(order[begin]);
    n_pairs_right += tied_positive * (n_negative + tied_negative / 2);
    n_positive += tied_positive;
    n_negative += tied_negative;
  }
  return n_positive > 0 && n_negative > 0 ? n_pairs_right / (n_positive * n_negative) : kUndefined;
}

constexpr std::size_t kPearsonColumns = 6, kAccuracyColumns = 4;

/// Whether n values are not all equal, from their sum and that of their squares. Sums of n equal
/// values cancel up to some n eps of what they are made of.
bool varies(double n, double sum, double squares) {
  constexpr double kRounding = 1e-12;
  return n * squares - sum * sum > kRounding * n * squares;
}

// Sums of a document, for Pearson: n, x, y, xx, yy, xy.
void add_for_pearson(double x, double y, std::span<double> row) {
  const std::array<double, kPearsonColumns> terms = {1, x, y, x * x, y * y, x * y};
  for (std::size_t c = 0; c < terms.size(); ++c) row[c] += terms[c];
}
double pearson_of_sums(std::span<const double> s) {
  const double n = s[0];
  if (!varies(n, s[1], s[3]) || !varies(n, s[2], s[4])) return kUndefined;
  const double xx = n * s[3] - s[1] * s[1], yy = n * s[4] - s[2] * s[2];
  return std::clamp((n * s[5] - s[1] * s[2]) / std::sqrt(xx * yy), -1.0, 1.0);
}

// And for the accuracy: positives, those told right, negatives, those told right.
double balanced_accuracy_of_sums(std::span<const double> s) {
  return s[0] > 0 && s[2] > 0 ? (s[1] / s[0] + s[3] / s[2]) / 2 : kUndefined;
}

std::size_t accuracy_column(double truth) {
  return truth > 0 ? 0 : 2;
}
bool is_right(double prediction, double truth) {
  return (prediction >= kYes) == (truth > 0);
}
void add_for_accuracy(double prediction, double truth, std::span<double> row) {
  const std::size_t column = accuracy_column(truth);
  row[column] += 1;
  row[column + 1] += is_right(prediction, truth);
}

}  // namespace

std::vector<double> mid_ranks(std::span<const double> values) {
  std::vector<double> ranks(values.size());
  const std::vector<std::size_t> order = order_of(values);
  for (std::size_t begin = 0; begin < order.size();) {
    const std::size_t end = end_of_ties(values, order, begin);
    const double rank = static_cast<double>(begin + 1 + end) / 2;
    for (; begin < end; ++begin) ranks[order[begin]] = rank;
  }
  return ranks;
}

double pearson(std::span<const double> x, std::span<const double> y) {
  SAFESAIL_CHECK(x.size() == y.size());
  // Moved to a value of their own, so that a small spread about a large mean is not lost.
  std::array<double, kPearsonColumns> sums{};
  for (std::size_t i = 0; i < x.size(); ++i) add_for_pearson(x[i] - x[0], y[i] - y[0], sums);
  return pearson_of_sums(sums);
}

double spearman(std::span<const double> x, std::span<const double> y) {
  return pearson(mid_ranks(x), mid_ranks(y));
}

double auroc(std::span<const double> predicted, std::span<const double> truth) {
  SAFESAIL_CHECK(predicted.size() == truth.size());
  return area(predicted, truth, order_of(predicted), [](std::size_t) { return 1.0; });
}

double balanced_accuracy(std::span<const double> predicted, std::span<const double> truth) {
  SAFESAIL_CHECK(predicted.size() == truth.size());
  std::array<double, kAccuracyColumns> sums{};
  for (std::size_t i = 0; i < truth.size(); ++i) add_for_accuracy(predicted[i], truth[i], sums);
  return balanced_accuracy_of_sums(sums);
}

void Judged::add(double prediction, double true_value, std::uint64_t of_document) {
  predicted.push_back(prediction);
  truth.push_back(true_value);
  document.push_back(of_document);
}

std::size_t Judged::n_documents() const {
  return std::unordered_set<std::uint64_t>(document.begin(), document.end()).size();
}

Estimate estimate_pearson(const Judged& judged, std::size_t n_resamples, std::uint64_t seed) {
  DocumentSums sums(kPearsonColumns);
  for (std::size_t i = 0; i < judged.size(); ++i)
    add_for_pearson(judged.predicted[i], judged.truth[i], sums.of(judged.document[i]));
  return Bootstrap(sums, n_resamples, seed).estimate(pearson_of_sums);
}

Estimate estimate_balanced_accuracy(const Judged& judged, std::size_t n_resamples,
                                    std::uint64_t seed) {
  DocumentSums sums(kAccuracyColumns);
  for (std::size_t i = 0; i < judged.size(); ++i)
    add_for_accuracy(judged.predicted[i], judged.truth[i], sums.of(judged.document[i]));
  return Bootstrap(sums, n_resamples, seed).estimate(balanced_accuracy_of_sums);
}

Estimate estimate_weighted(std::span<const Judged> simulations, std::span<const double> weights,
                           AgreementKind agreement, std::size_t n_resamples, std::uint64_t seed) {
  SAFESAIL_CHECK(!simulations.empty() && simulations.size() == weights.size());
  const bool correlates = agreement == AgreementKind::pearson;
  const std::size_t n_columns = correlates ? kPearsonColumns : kAccuracyColumns;
  DocumentSums sums(n_columns * simulations.size());
  for (std::size_t s = 0; s < simulations.size(); ++s) {
    const Judged& judged = simulations[s];
    SAFESAIL_CHECK(judged.document == simulations[0].document &&
                   judged.truth == simulations[0].truth);
    for (std::size_t i = 0; i < judged.size(); ++i)
      (correlates ? add_for_pearson : add_for_accuracy)(
          judged.predicted[i], judged.truth[i],
          sums.of(judged.document[i]).subspan(s * n_columns, n_columns));
  }
  return Bootstrap(sums, n_resamples, seed).estimate([&](std::span<const double> totals) {
    double sum = 0;
    for (std::size_t s = 0; s < weights.size(); ++s) {
      const auto own = totals.subspan(s * n_columns, n_columns);
      double value = correlates ? pearson_of_sums(own) : balanced_accuracy_of_sums(own);
      if (correlates && std::isnan(value) && varies(own[0], own[2], own[4])) value = 0;
      sum += weights[s] * value;
    }
    return sum;
  });
}

// Not a function of sums. Sorted once, one resample costs one sweep over the units.
Estimate estimate_auroc(const Judged& judged, std::size_t n_resamples, std::uint64_t seed) {
  std::unordered_map<std::uint64_t, std::size_t> places;
  std::vector<std::size_t> place;
  for (const std::uint64_t document : judged.document)
    place.push_back(places.try_emplace(document, places.size()).first->second);
  const std::vector<std::size_t> order = order_of(judged.predicted);

  std::vector<double> resampled;
  const std::size_t n = places.size();
  Rng rng(seed, "bootstrap");
  for (std::size_t r = 0; r < n_resamples && n >= 2; ++r) {
    std::vector<double> copies(n);
    for (std::size_t draw = 0; draw < n; ++draw) copies[rng.below(n)] += 1;
    resampled.push_back(area(judged.predicted, judged.truth, order,
                             [&](std::size_t i) { return copies[place[i]]; }));
  }
  return percentile_interval(auroc(judged.predicted, judged.truth), std::move(resampled));
}

}  // namespace safesail
