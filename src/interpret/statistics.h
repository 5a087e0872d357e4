// How well predictions agree with the truth: correlation for graded truth, balanced accuracy and
// the area under the ROC curve for yes and no.
//
// A statistic is NaN where it is not defined, never a number that stands in for one: a correlation
// with something constant, an accuracy on a side that has no members. Free functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bootstrap.h"

namespace safesail {

/// Ranks from 1; equal values share the mean of their ranks.
std::vector<double> mid_ranks(std::span<const double> values);

double pearson(std::span<const double> x, std::span<const double> y);
/// Pearson of the mid ranks.
double spearman(std::span<const double> x, std::span<const double> y);

/// Probability that a positive is predicted higher than a negative, ties counting half (Hanley and
/// McNeil 1982). A truth above 0 is positive.
double auroc(std::span<const double> predicted, std::span<const double> truth);

/// Mean of the shares of positives and of negatives that are told right; a prediction of at least
/// 0.5 says positive.
double balanced_accuracy(std::span<const double> predicted, std::span<const double> truth);

/// Predictions pooled over documents, and what was true.
struct Judged {
  std::vector<double> predicted, truth;
  std::vector<std::uint64_t> document;  ///< of each

  void add(double prediction, double true_value, std::uint64_t of_document);
  std::size_t size() const { return predicted.size(); }
  std::size_t n_documents() const;
};

/// The same three with 95 % intervals, from `n_resamples` of the documents. The same seed draws the
/// same documents for each of them.
Estimate estimate_pearson(const Judged& judged, std::size_t n_resamples, std::uint64_t seed);
Estimate estimate_auroc(const Judged& judged, std::size_t n_resamples, std::uint64_t seed);
Estimate estimate_balanced_accuracy(const Judged& judged, std::size_t n_resamples,
                                    std::uint64_t seed);

/// Which statistic; each has a value that knowing nothing gets.
enum class AgreementKind { pearson, balanced_accuracy };

/// The sum of the statistics of several simulations of the same units, weight times each: with
/// weights 1 and -1 the difference of two, its interval paired, as both meet the same documents in
/// each resample. A simulation that is constant counts as chance: it is no better and no worse.
Estimate estimate_weighted(std::span<const Judged> simulations, std::span<const double> weights,
                           AgreementKind agreement, std::size_t n_resamples, std::uint64_t seed);

}  // namespace safesail
