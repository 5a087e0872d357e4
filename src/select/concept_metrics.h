// The metrics before explanation: how far the features of an SAE tell the texts with a concept from
// their counterparts, and which of them do.
//
//   f_i     = share of the pairs in which feature i fires with the concept and not in the
//             counterpart
//   L_{0,t} = #{i : f_i > t}
//   I_CDF   = mean of f_i over all features = the area under L_{0,t} / n_features, t from 0 to 1
//
// after the paper (the formulas are ours, see docs/selection.md). Beside each stands what it would
// be if concept and counterpart were exchanged at random in each pair (the label-swap null): a
// feature that fires at random is "distinguishing" in a quarter of the pairs.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bootstrap.h"
#include "select/pair_firing.h"
#include "select/pairs.h"

namespace safesail {

/// The t at which L_{0,t} is taken.
inline constexpr std::array kThresholds = {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
/// Place in kThresholds of the t that recommendations go by: features that distinguish more than a
/// fifth of the pairs.
inline constexpr std::size_t kTelling = 2;

struct MetricsConfig {
  std::size_t n_resamples = 200;  ///< label swaps for the null, and pairs for the intervals
  double false_discovery_rate = 0.05;
  /// Features with fewer discordant pairs are not tested: their p value could never be small. The
  /// count does not depend on the direction, so that the test stays valid.
  std::int64_t min_discordant = 5;
  std::uint64_t seed = 0;
};

/// A feature in a concept's pairs.
struct FeatureContrast {
  std::int32_t feature = 0;
  std::int64_t n_forward = 0;  ///< pairs in which it fires with the concept alone
  std::int64_t n_reverse = 0;  ///< in the counterpart alone
  double p = 1, q = 1;         ///< sign test, Benjamini-Hochberg; 1 where not tested
  /// Mean over pairs of (max with the concept - max in the counterpart), in units of the feature's
  /// largest value in the pairs.
  double effect = 0;
};

/// An observed value, its interval over pairs, and the label-swap null of it. The interval is
/// +- 1.96 bootstrap standard errors: percentiles would lie too high, since pairs drawn twice
/// lift features over a threshold.
struct AgainstNull {
  Estimate observed;
  double null_mean = 0, null_low = 0, null_high = 0;  ///< 2.5 % and 97.5 %

  double excess() const { return observed.value - null_mean; }
};

/// I_CDF, then L_{0,t} at each threshold.
using MetricNumbers = std::array<double, 1 + kThresholds.size()>;

/// `observed` against draws of the pairs and swaps of their labels.
AgainstNull against_null(double observed, const std::vector<double>& drawn,
                         const std::vector<double>& swapped);

struct ConceptMetrics {
  std::size_t n_pairs = 0;
  AgainstNull i_cdf;
  Estimate reverse_i_cdf;  ///< counterpart instead of concept
  /// Share of label swaps with an I_CDF at least as large as the observed one, itself counted.
  double p_value = 1;
  std::array<AgainstNull, kThresholds.size()> l0_t;
  /// Features under false discovery control: q <= the rate, by rising q, then falling n_forward.
  std::vector<FeatureContrast> candidates;
  /// All tested features, by index.
  std::vector<FeatureContrast> tested;
  /// The resamples behind the intervals and the null, for means over concepts.
  std::vector<MetricNumbers> drawn, swapped;
};

ConceptMetrics concept_metrics(const PairFiring& firing, const Concept& one,
                               const MetricsConfig& config);

}  // namespace safesail
