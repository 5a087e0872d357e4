// Phase 2a: from the SAEs of a grid and contrast pairs to the configuration that tells safety
// concepts apart best, and the features worth explaining. One pass of the model over the pairs
// serves all SAEs.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/report.h"
#include "select/concept_metrics.h"
#include "select/pair_firing.h"
#include "select/pairs.h"
#include "train/evaluation_cells.h"

namespace safesail {

struct SelectConfig {
  FiringConfig firing;
  MetricsConfig metrics;
  std::size_t min_pairs = 8;  ///< of a concept
};

/// What is known of an SAE from its evaluation; needed for the recommendation's reason only.
struct Reconstruction {
  Estimate fvu, l0;
};

struct SaeSelection {
  SaeIdentity id;
  std::string name;  ///< of the SAE in the run: its folder below sae/, "mlp_out.15/topk-k32"
  std::optional<Reconstruction> reconstruction;
  std::vector<ConceptMetrics> concepts;  ///< in the order of FeatureSelection::concepts
  /// Means over the subclasses: I_CDF, and L_{0,t} at each threshold.
  AgainstNull i_cdf;
  std::array<AgainstNull, kThresholds.size()> l0_t;
};

/// What SAEs at several sites have in common.
struct Configuration {
  std::string architecture;
  std::int64_t k = 0, n_features = 0;
  std::uint64_t seed = 0;
  auto operator<=>(const Configuration&) const = default;
};
std::string to_string(const Configuration& configuration);

/// A configuration's mean over sites of the features that distinguish more than a fifth of
/// a concept's pairs, beyond what label swaps give.
struct Ranked {
  Configuration configuration;
  Estimate excess;
  std::size_t n_sites = 0;
  double mean_l0 = 0, mean_fvu = 0;  ///< over its sites; NaN where not evaluated
};

/// The sparsest configuration that is not clearly worse than the best one (its excess reaches the
/// lower end of the best one's interval).
struct Recommendation {
  std::vector<Ranked> ranking;  ///< by falling excess
  Configuration chosen;
  std::string reason;  ///< one or two sentences
};

struct FeatureSelection {
  std::vector<Concept> concepts;
  std::vector<std::string> left_out;  ///< concepts with too few pairs
  std::vector<SaeSelection> saes;     ///< in the order of the cells
  Recommendation recommendation;
};

/// The name of an SAE in its run: "mlp_out.15/topk-k32" of ".../sae/mlp_out.15/topk-k32/
/// sae.safetensors"; its site where it is not from a file.
std::string sae_name(const SaeIdentity& id);

FeatureSelection select_features(const LanguageModel& model, const Tokenizer& tokenizer,
                                 const std::vector<EvaluationCell>& cells,
                                 const std::vector<ContrastPair>& pairs, const SelectConfig& config,
                                 Reporter& reporter, std::stop_token stop);

/// Fills in `reconstruction` from a run's evaluation.jsonl, where it has the SAEs, and recommends.
void add_reconstruction(const fs::path& evaluation, FeatureSelection& selection);
Recommendation recommend(const std::vector<SaeSelection>& saes);

}  // namespace safesail
