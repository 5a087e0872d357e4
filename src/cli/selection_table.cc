#include "cli/selection_table.h"

#include <fmt/format.h>
#include <set>

namespace safesail {
namespace {

std::size_t n_candidates(const SaeSelection& sae) {
  std::set<std::int32_t> features;
  for (const ConceptMetrics& metrics : sae.concepts)
    for (const FeatureContrast& contrast : metrics.candidates) features.insert(contrast.feature);
  return features.size();
}

}  // namespace

std::string selection_table(const FeatureSelection& selection) {
  const Configuration& chosen = selection.recommendation.chosen;
  std::string text =
      fmt::format("  {:<12} {:<18} {:>6} {:>6} {:>15} {:>13} {:>17} {:>6}\n", "site", "SAE", "L0",
                  "FVU", "L(0,.2) chance", "L(0,.5) chance", "1000 I_CDF chance", "found");
  for (const SaeSelection& sae : selection.saes) {
    const bool is_chosen =
        Configuration{sae.id.architecture, sae.id.k, sae.id.n_features, sae.id.seed} == chosen;
    const std::string l0 =
        sae.reconstruction ? fmt::format("{:.1f}", sae.reconstruction->l0.value) : "-";
    const std::string fvu =
        sae.reconstruction ? fmt::format("{:.3f}", sae.reconstruction->fvu.value) : "-";
    text += fmt::format(
        "{} {:<12} {:<18} {:>6} {:>6} {:>8.1f} {:>6.1f} {:>7.1f} {:>6.1f} "
        "{:>10.2f} {:>6.2f} {:>6}\n",
        is_chosen ? '*' : ' ', site_name(sae.id), short_name(sae.id), l0, fvu,
        sae.l0_t[kTelling].observed.value, sae.l0_t[kTelling].null_mean, sae.l0_t[5].observed.value,
        sae.l0_t[5].null_mean, 1000 * sae.i_cdf.observed.value, 1000 * sae.i_cdf.null_mean,
        n_candidates(sae));
  }
  return text;
}

}  // namespace safesail
