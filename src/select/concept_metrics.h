// The metrics before explanation: how far the features of an SAE tell the texts with a concept from
// their counterparts.
//
//   f_i     = share of the pairs in which feature i fires with the concept and not in the
//             counterpart
//   L_{0,t} = #{i : f_i > t}
//   I_CDF   = mean of f_i over all features = the area under L_{0,t} / n_features, t from 0 to 1
//
// after the paper (the formulas are ours, see docs/selection.md). Beside each stands what it would
// be if concept and counterpart were exchanged at random in each pair (the label-swap null): a
// feature that fires at random is "distinguishing" in a quarter of the pairs. Which features stand
// for the concept: feature_tests.h.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bootstrap.h"
#include "select/pair_firing.h"
#include "select/pair_resamples.h"
#include "select/pairs.h"
#include "select/significance.h"

namespace safesail {

/// The t at which L_{0,t} is taken.
inline constexpr std::array kThresholds = {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
/// Place in kThresholds of the t by which configurations are ranked: features that distinguish more
/// than a fifth of the pairs.
inline constexpr std::size_t kRankedThreshold = 2;

/// An observed value, the label-swap null of it, and what it is beyond that, with its interval:
/// other draws have another null too.
struct NullComparison {
  Estimate observed;
  double null_mean = 0;                ///< exact
  double null_low = 0, null_high = 0;  ///< 2.5 % and 97.5 % of the swaps
  Estimate excess;                     ///< observed - null_mean
};

/// I_CDF, then L_{0,t} at each threshold.
using MetricNumbers = std::array<double, 1 + kThresholds.size()>;

/// The numbers in each of the resamples, for intervals and for means over concepts.
struct MetricDraws {
  std::vector<MetricNumbers> observed, null_mean;  ///< of a draw of the pairs
  std::vector<MetricNumbers> swapped;              ///< of all pairs with the labels swapped
  std::vector<double> reverse;                     ///< the reverse I_CDF of a draw
};

/// One of the numbers against its draws.
NullComparison compare_with_null(double observed, double null_mean, std::size_t number,
                                 const MetricDraws& draws, const DrawnFrom& from);

struct ConceptMetrics {
  std::size_t n_pairs = 0;
  NullComparison i_cdf;
  std::array<NullComparison, kThresholds.size()> l0_t;
  Estimate reverse_i_cdf;  ///< counterpart instead of concept
  /// Share of label swaps with an I_CDF at least as large as the observed one, itself counted.
  double p_value = 1;
  MetricDraws draws;

  const NullComparison& number(std::size_t i) const { return i == 0 ? i_cdf : l0_t[i - 1]; }
};

/// `coins` are those of the caller, so that several concepts and SAEs share them.
ConceptMetrics concept_metrics(const PairFiring& firing, const Concept& concept_,
                               const PairResamples& resamples, FairCoins& coins);

}  // namespace safesail
