// Phase 2a: from the SAEs of a grid and contrast pairs to the configuration that tells safety
// concepts apart best, and the features worth explaining. One pass of the model over the pairs
// serves all SAEs.
#pragma once

#include <array>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/report.h"
#include "select/concept_metrics.h"
#include "select/feature_tests.h"
#include "select/pair_firing.h"
#include "select/pairs.h"
#include "select/recommendation.h"
#include "train/evaluation_cells.h"

namespace safesail {

struct SelectConfig {
  FiringConfig firing;
  TestConfig tests;
  std::size_t n_resamples = 200;  ///< label swaps for the null, and draws of concepts
  std::uint64_t seed = 0;         ///< of the resamples and of what is held out
  std::size_t min_pairs = 8;      ///< of a concept, held-out ones aside
  /// Share of each subclass's finest concepts that has no part in choosing features and
  /// configuration, and on which the accepted features are tried; 0: they are not.
  double held_out_share = 0.5;
};

/// What is known of an SAE from its evaluation; needed for the recommendation's reason only.
struct Reconstruction {
  Estimate fvu, l0;
};

/// What the pairs of one concept say of an SAE.
struct ConceptSelection {
  ConceptMetrics metrics;
  double q = 1;  ///< Benjamini-Hochberg of metrics.p_value over all SAEs, concepts and languages
  std::vector<FeatureContrast> tested;  ///< by index
  /// Those under false discovery control: q <= the rate, by rising q, then falling n_forward. They
  /// know what they do on the pairs held out.
  std::vector<FeatureContrast> candidates;
};

struct SaeSelection {
  SaeIdentity id;
  /// Of the SAE in the run: its folder below sae/, "mlp_out.15/topk-k32"; its path where several
  /// are called so.
  std::string name;
  std::optional<Reconstruction> reconstruction;
  std::vector<ConceptSelection> concepts;  ///< in the order of FeatureSelection::concepts
  /// Means over the subclasses: I_CDF, and L_{0,t} at each threshold.
  NullComparison i_cdf;
  std::array<NullComparison, kThresholds.size()> l0_t;
  /// The excess at kRankedThreshold in each draw of the pairs, the same ones for all SAEs.
  std::vector<double> ranked_draws;
  DrawnFrom drawn_from;
  Precision precision;  ///< of its candidates
};

struct FeatureSelection {
  PairSplit split;
  std::vector<Concept> concepts;      ///< of the pairs that choose
  std::vector<Concept> held_out;      ///< the same ones, of the pairs that do not
  std::vector<std::string> left_out;  ///< concepts with too few pairs
  std::vector<SaeSelection> saes;     ///< in the order of the cells
  Recommendation recommendation;
  /// Of the candidates in SAEs of random directions that are like the recommended ones
  /// (random_floor.h), selected by themselves.
  std::optional<Precision> floor;

  /// Of the candidates of the recommended SAEs.
  Precision precision() const;
};

/// "Precision: of 17 accepted, a feature and concept each, 12 replicate (0.71, 0.47 to 0.87) ..."
std::string precision_sentence(const FeatureSelection& selection);

/// The name of an SAE in its run: "mlp_out.15/topk-k32" of ".../sae/mlp_out.15/topk-k32/
/// sae.safetensors"; its site where it is not from a file.
std::string sae_name(const SaeIdentity& id);

/// With the floor. `firing` [SAE]: what fires in the pairs, for those who ask more of it.
FeatureSelection select_features(const LanguageModel& model, const Tokenizer& tokenizer,
                                 const std::vector<EvaluationCell>& cells,
                                 const std::vector<ContrastPair>& pairs, const SelectConfig& config,
                                 std::vector<PairFiring>& firing, Reporter& reporter,
                                 std::stop_token stop);

/// The same from what fires in the pairs, `firing` [SAE].
FeatureSelection select_from_firing(const std::vector<SaeIdentity>& saes,
                                    const std::vector<PairFiring>& firing,
                                    const std::vector<ContrastPair>& pairs,
                                    const SelectConfig& config, Reporter& reporter,
                                    const std::stop_token& stop);

/// Fills in `reconstruction` from a run's evaluation.jsonl, where it has the SAEs, and recommends.
void add_reconstruction(const fs::path& evaluation, FeatureSelection& selection);

}  // namespace safesail
