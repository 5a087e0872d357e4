#include "cli/selection_table.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace safesail {
namespace {

std::size_t n_candidates(const SaeSelection& sae) {
  std::set<std::int32_t> features;
  for (const ConceptSelection& concept_ : sae.concepts)
    for (const FeatureContrast& contrast : concept_.candidates) features.insert(contrast.feature);
  return features.size();
}

}  // namespace

std::string selection_table(const FeatureSelection& selection) {
  const std::vector<std::size_t>& chosen = selection.recommendation.recommended().saes;
  std::string text =
      fmt::format("  {:<12} {:<18} {:>6} {:>6} {:>15} {:>13} {:>17} {:>6}\n", "site", "SAE", "L0",
                  "FVU", "L(0,.2) chance", "L(0,.5) chance", "1000 I_CDF chance", "found");
  for (std::size_t i = 0; i < selection.saes.size(); ++i) {
    const SaeSelection& sae = selection.saes[i];
    const bool is_chosen = std::ranges::find(chosen, i) != chosen.end();
    const std::string l0 =
        sae.reconstruction ? fmt::format("{:.1f}", sae.reconstruction->l0.value) : "-";
    const std::string fvu =
        sae.reconstruction ? fmt::format("{:.3f}", sae.reconstruction->fvu.value) : "-";
    text += fmt::format(
        "{} {:<12} {:<18} {:>6} {:>6} {:>8.1f} {:>6.1f} {:>7.1f} {:>6.1f} "
        "{:>10.2f} {:>6.2f} {:>6}\n",
        is_chosen ? '*' : ' ', site_name(sae.id), short_name(sae.id), l0, fvu,
        sae.l0_t[kRankedThreshold].observed.value, sae.l0_t[kRankedThreshold].null_mean,
        sae.l0_t[5].observed.value, sae.l0_t[5].null_mean, 1000 * sae.i_cdf.observed.value,
        1000 * sae.i_cdf.null_mean, n_candidates(sae));
  }
  return text;
}

}  // namespace safesail
