#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <map>

#include "base/error.h"
#include "formats/byte_stream.h"
#include "formats/json.h"
#include "formats/line_reader.h"
#include "select/selection.h"

namespace safesail {
namespace {

Configuration configuration_of(const SaeIdentity& id) {
  return {id.architecture, id.k, id.n_features, id.seed};
}

Ranked rank(const Configuration& configuration, const std::vector<const SaeSelection*>& saes) {
  Ranked ranked{.configuration = configuration, .n_sites = saes.size()};
  const auto n = static_cast<double>(saes.size());
  // The same pairs are behind all sites: their errors go together, so the half widths are averaged
  // rather than combined as if they were independent.
  for (const SaeSelection* sae : saes) {
    const AgainstNull& telling = sae->l0_t[kTelling];
    ranked.excess.value += telling.excess() / n;
    ranked.mean_l0 += (sae->reconstruction ? sae->reconstruction->l0.value : NAN) / n;
    ranked.mean_fvu += (sae->reconstruction ? sae->reconstruction->fvu.value : NAN) / n;
  }
  ranked.excess.low = ranked.excess.high = ranked.excess.value;
  for (const SaeSelection* sae : saes) {
    const AgainstNull& telling = sae->l0_t[kTelling];
    ranked.excess.low -= (telling.observed.value - telling.observed.low) / n;
    ranked.excess.high += (telling.observed.high - telling.observed.value) / n;
  }
  return ranked;
}

/// L0 as evaluated, else as aimed at.
double sparsity(const Ranked& ranked) {
  return std::isnan(ranked.mean_l0) ? static_cast<double>(ranked.configuration.k) : ranked.mean_l0;
}

std::string reason_for(const Ranked& chosen, const Ranked& best) {
  std::string reason = fmt::format(
      "{}: {:.1f} features a concept ({:.1f} to {:.1f}) fire with it and not without it "
      "in over a fifth of its pairs, beyond what chance gives; L0 {:.0f}",
      to_string(chosen.configuration), chosen.excess.value, chosen.excess.low, chosen.excess.high,
      sparsity(chosen));
  if (!std::isnan(chosen.mean_fvu)) reason += fmt::format(", FVU {:.3f}", chosen.mean_fvu);
  if (chosen.configuration != best.configuration)
    reason += fmt::format(". {} has {:.1f}, which is not clearly more, with L0 {:.0f}",
                          to_string(best.configuration), best.excess.value, sparsity(best));
  return reason + ".";
}

}  // namespace

Recommendation recommend(const std::vector<SaeSelection>& saes) {
  SAFESAIL_CHECK(!saes.empty());
  std::map<Configuration, std::vector<const SaeSelection*>> groups;
  for (const SaeSelection& sae : saes) groups[configuration_of(sae.id)].push_back(&sae);
  std::size_t most_sites = 0;
  for (const auto& [configuration, members] : groups)
    most_sites = std::max(most_sites, members.size());

  Recommendation recommendation;
  for (const auto& [configuration, members] : groups)
    // A configuration that is missing at some sites (stopped in training) cannot be compared.
    if (members.size() == most_sites)
      recommendation.ranking.push_back(rank(configuration, members));
  std::ranges::stable_sort(recommendation.ranking, std::greater<>(),
                           [](const Ranked& ranked) { return ranked.excess.value; });
  const Ranked& best = recommendation.ranking.front();
  const Ranked* chosen = &best;
  for (const Ranked& ranked : recommendation.ranking)
    if (ranked.excess.value >= best.excess.low && sparsity(ranked) < sparsity(*chosen))
      chosen = &ranked;
  recommendation.chosen = chosen->configuration;
  recommendation.reason = reason_for(*chosen, best);
  return recommendation;
}

void add_reconstruction(const fs::path& evaluation, FeatureSelection& selection) {
  if (!fs::exists(evaluation)) return;
  LineReader lines{ByteStream(evaluation)};
  while (const auto text = lines.next()) {
    const Json json = parse_json(*text, lines.where());
    const JsonObject line(json, lines.where());
    const auto number = [&](const char* key) {
      Estimate estimate{.value = line.get<double>(key)};
      const auto interval = line.find<std::vector<double>>(std::string(key) + "_interval")
                                .value_or(std::vector<double>());
      if (interval.size() == 2) estimate.low = interval[0], estimate.high = interval[1];
      return estimate;
    };
    const auto is_this = [&](const SaeSelection& sae) {
      const SaeIdentity& id = sae.id;
      return id.site == line.get<std::string>("site") &&
             id.output_site == line.get<std::string>("output_site") &&
             id.architecture == line.get<std::string>("architecture") &&
             id.k == line.get<std::int64_t>("k") &&
             id.n_features == line.get<std::int64_t>("n_features") &&
             static_cast<std::int64_t>(id.seed) == line.get<std::int64_t>("seed");
    };
    const auto found = std::ranges::find_if(selection.saes, is_this);
    if (found != selection.saes.end())
      found->reconstruction = Reconstruction{number("fvu"), number("l0")};
  }
  selection.recommendation = recommend(selection.saes);
}

}  // namespace safesail
