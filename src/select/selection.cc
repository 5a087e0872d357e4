#include "select/selection.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"

namespace safesail {
namespace {

/// The mean over subclasses, with the resamples of each.
AgainstNull mean_over_subclasses(const std::vector<Concept>& concepts,
                                 const std::vector<ConceptMetrics>& metrics, std::size_t number) {
  double n = 0, observed = 0;
  std::vector<double> drawn, swapped;
  for (std::size_t c = 0; c < concepts.size(); ++c) {
    if (concepts[c].subclass.empty()) continue;
    const ConceptMetrics& one = metrics[c];
    drawn.resize(one.drawn.size());
    swapped.resize(one.swapped.size());
    for (std::size_t r = 0; r < drawn.size(); ++r) {
      drawn[r] += one.drawn[r][number];
      swapped[r] += one.swapped[r][number];
    }
    observed += number == 0 ? one.i_cdf.observed.value : one.l0_t[number - 1].observed.value;
    ++n;
  }
  for (std::vector<double>* values : {&drawn, &swapped})
    for (double& value : *values) value /= n;
  return against_null(observed / n, drawn, swapped);
}

}  // namespace

std::string sae_name(const SaeIdentity& id) {
  const fs::path folder = fs::path(id.path).parent_path();
  return id.path.empty() ? id.site : (folder.parent_path().filename() / folder.filename()).string();
}

std::string to_string(const Configuration& configuration) {
  return short_name({.site = {},
                     .output_site = {},
                     .architecture = configuration.architecture,
                     .k = configuration.k,
                     .n_features = configuration.n_features,
                     .seed = configuration.seed,
                     .path = {}});
}

FeatureSelection select_features(const LanguageModel& model, const Tokenizer& tokenizer,
                                 const std::vector<EvaluationCell>& cells,
                                 const std::vector<ContrastPair>& pairs, const SelectConfig& config,
                                 Reporter& reporter, std::stop_token stop) {
  FeatureSelection selection;
  selection.concepts = concepts_of(pairs, config.min_pairs, selection.left_out);
  if (selection.concepts.empty() || selection.concepts.front().subclass.empty())
    bad_input("pairs",
              fmt::format("expected a subclass with at least {} pairs, got {} pairs in all",
                          config.min_pairs, pairs.size()),
              "bring more pairs of a subclass, or lower --min-pairs");
  std::vector<SaeAtSite> saes;
  for (const EvaluationCell& cell : cells) saes.push_back({cell.input, &cell.sae});
  const std::vector<PairFiring> firing =
      read_pair_firing(model, tokenizer, saes, pairs, config.firing, reporter, stop);

  for (std::size_t i = 0; i < cells.size(); ++i) {
    SaeSelection& sae = selection.saes.emplace_back();
    sae.id = cells[i].id;
    sae.name = sae_name(sae.id);
    for (const Concept& one : selection.concepts)
      sae.concepts.push_back(concept_metrics(firing[i], one, config.metrics));
    sae.i_cdf = mean_over_subclasses(selection.concepts, sae.concepts, 0);
    for (std::size_t t = 0; t < kThresholds.size(); ++t)
      sae.l0_t[t] = mean_over_subclasses(selection.concepts, sae.concepts, 1 + t);
    reporter.progress("select", i + 1, cells.size(), "SAEs", sae.name);
    if (stop.stop_requested())
      failed("select", "stopped before the end", "run the same command again");
  }
  selection.recommendation = recommend(selection.saes);
  return selection;
}

}  // namespace safesail
