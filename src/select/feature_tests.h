// Which features stand for a concept. A feature must distinguish the concept's pairs more often
// than the other way round (the paired sign test, under false discovery control over all that
// selection searches), and it must be specific: fire in a larger share of the concept's texts than
// of any rival's, and distinguish more of its pairs than of any rival's (Fisher's exact test, the
// worst rival counts). A feature of danger at large tells a bomb from a loaf of bread and stands
// for neither weapons nor terror. What each promises: docs/selection.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "select/pair_firing.h"
#include "select/pairs.h"
#include "select/replication.h"

namespace safesail {

struct TestConfig {
  /// Of features without a contrast among those accepted; and the level of the test that a feature
  /// is specific.
  double false_discovery_rate = 0.05;
  /// Features with fewer discordant pairs are not tested: their p value could never be small. The
  /// count does not depend on the direction, so that the sign test stays valid.
  std::int64_t min_discordant = 5;
};

/// A feature in a concept's pairs.
struct FeatureContrast {
  std::int32_t feature = 0;
  std::int64_t n_forward = 0;  ///< pairs in which it fires with the concept alone
  std::int64_t n_reverse = 0;  ///< in the counterpart alone
  std::int64_t n_firing = 0;   ///< with the concept, whatever it does in the counterpart
  /// The other concept that its p_specific is against, a place in the list of all (-1: there is
  /// none), in how many of that one's pairs it fires with the concept alone, and in how many at
  /// all.
  std::int32_t rival = -1;
  std::int64_t rival_forward = 0, rival_firing = 0;
  double p_contrast = 1;  ///< sign test
  double p_specific = 0;  ///< Fisher's test against the rival; 0 without one
  double p = 1;           ///< p_contrast of a specific feature, else 1
  double q = 1;           ///< over all that selection tests; control_false_discoveries()
  /// Mean over pairs of (max with the concept - max in the counterpart), in units of the feature's
  /// largest value in the pairs.
  double effect = 0;
  Replication held_out;  ///< of an accepted one
};

/// What each feature does on one concept's pairs, by feature: how many of its texts it fires in,
/// and in how many of those not in the counterpart.
struct FiringCounts {
  std::vector<std::int32_t> firing, forward;
};
std::vector<FiringCounts> count_firing(const PairFiring& firing,
                                       const std::vector<Concept>& concepts);

/// The features of concepts[i] with enough discordant pairs, by index, q not yet known.
std::vector<FeatureContrast> test_features(const PairFiring& firing,
                                           const std::vector<Concept>& concepts, std::size_t i,
                                           const std::vector<FiringCounts>& counts,
                                           const TestConfig& config);

/// Fills in every q. A family is a feature of an SAE with its tests in all concepts and languages
/// (two_level_q), so that neither the SAEs, nor the features, nor the concepts among which
/// selection looks are left out. `saes` [SAE][concept][test].
using SaeTests = std::vector<std::vector<FeatureContrast>>;
void control_false_discoveries(std::span<SaeTests> saes);

}  // namespace safesail
