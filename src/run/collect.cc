#include "run/collect.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "atlas/landscape.h"
#include "base/error.h"
#include "base/memory.h"
#include "formats/json.h"
#include "harvest/decoder_views.h"

namespace safesail {
namespace {

using nlohmann::json;

WantedFeatures wanted_of(const EvaluationCell& cell, const SelectionResult& selection,
                         std::size_t max_features) {
  WantedFeatures wanted{.sae = sae_name(cell.id),
                        .site = cell.id.site,
                        .n_features = cell.sae.spec().n_features,
                        .features = {}};
  std::map<std::int32_t, std::tuple<double, double>> best;  // lowest q and p of each
  for (const Candidate& candidate : selection.candidates) {
    if (candidate.sae != wanted.sae) continue;
    const FeatureContrast& contrast = candidate.contrast;
    if (contrast.feature >= wanted.n_features)
      bad_input("candidates.jsonl",
                fmt::format("{} has no feature {}", wanted.sae, contrast.feature),
                "select again: the SAEs have changed");
    const std::tuple quality(contrast.q, contrast.p);
    const auto [found, is_new] = best.emplace(contrast.feature, quality);
    if (!is_new) found->second = std::min(found->second, quality);
  }
  std::vector<std::pair<std::tuple<double, double>, std::int32_t>> sorted;
  for (const auto& [feature, quality] : best) sorted.emplace_back(quality, feature);
  std::ranges::sort(sorted);
  if (sorted.size() > max_features) sorted.resize(max_features);
  for (const auto& [quality, feature] : sorted) wanted.features.push_back(feature);
  std::ranges::sort(wanted.features);
  return wanted;
}

void read_corpus(const TextModel& model, const std::vector<const EvaluationCell*>& cells,
                 const CollectConfig& config, ExemplarCollector& collector, Collected& collected,
                 Reporter& reporter, const std::stop_token& stop) {
  std::vector<SaeAtSite> saes;
  for (const EvaluationCell* cell : cells) saes.push_back({cell->input, &cell->sae});
  Corpus corpus(config.corpus, &model.tokenizer);
  CodedStream stream(
      model.model, model.tokenizer, saes, [&] { return corpus.next(); }, config.batch,
      [&](std::uint64_t id, std::string_view reason) { corpus.reject(id, reason); });
  state_memory("model, SAEs and program",
               {{collector.bytes_at_most(), "windows at most"},
                {stream.memory_bytes(), "the passes over the corpus"}},
               "the exemplars", "want fewer features, or fewer windows of each", reporter);
  while (collected.n_tokens < config.n_tokens) {
    const std::optional<CodedBatch> batch = stream.next();
    if (!batch) break;
    if (stop.stop_requested())
      failed("exemplars", "stopped before the end; nothing was kept of this stage",
             "run the same command again");
    collector.add(*batch);
    collected.n_tokens = stream.n_model_tokens();
    reporter.progress("exemplars", std::min(collected.n_tokens, config.n_tokens), config.n_tokens,
                      "tokens", "");
  }
  warn_of_bad_lines(corpus.report(), reporter);
}

void put_selection(std::int64_t id, const std::string& sae, std::int32_t feature,
                   const SelectionResult& selection, Atlas& atlas) {
  atlas.delete_tags(id, "pairs");
  for (const Candidate& candidate : selection.candidates) {
    if (candidate.sae != sae || candidate.contrast.feature != feature) continue;
    const FeatureContrast& contrast = candidate.contrast;
    const auto share = [&](std::int64_t n) {
      return static_cast<double>(n) / static_cast<double>(candidate.n_pairs);
    };
    atlas.put_pair_metrics(
        id,
        {.concept_name = candidate.concept_,
         .language = candidate.language,
         .f = share(contrast.n_forward),
         .reverse = share(contrast.n_reverse),
         .p = contrast.p,
         .q = contrast.q,
         .effect = contrast.effect,
         .n = candidate.n_pairs,
         .accepted = candidate.accepted,
         .held_out = contrast.held_out.n_pairs == 0 ? "" : dump_json(to_json(contrast.held_out))});
    if (candidate.is_tagged())
      atlas.put_tag(id, {.domain = candidate.domain,
                         .subclass = candidate.subclass,
                         .source = "pairs",
                         .evidence = dump_json(json{{"language", candidate.language},
                                                    {"n_pairs", candidate.n_pairs},
                                                    {"n_forward", contrast.n_forward},
                                                    {"n_reverse", contrast.n_reverse},
                                                    {"n_firing", contrast.n_firing},
                                                    {"rival", candidate.rival},
                                                    {"rival_forward", contrast.rival_forward},
                                                    {"rival_firing", contrast.rival_firing},
                                                    {"q", contrast.q}})});
  }
}

std::string status_of(const FeatureRecord& record, const CollectConfig& config) {
  const auto n_explain = record.n_firing_windows[static_cast<std::size_t>(Use::explain)];
  const auto n_test = record.n_firing_windows[static_cast<std::size_t>(Use::test)];
  if (n_explain < config.min_explain || n_test < config.min_test)
    return Atlas::insufficient(n_explain + n_test);
  return "ok";
}

}  // namespace

std::vector<const EvaluationCell*> chosen_cells(const std::vector<EvaluationCell>& cells,
                                                const std::vector<std::string>& chosen) {
  std::vector<const EvaluationCell*> result;
  for (const std::string& name : chosen) {
    const auto found = std::ranges::find_if(
        cells, [&](const EvaluationCell& cell) { return sae_name(cell.id) == name; });
    if (found == cells.end())
      bad_input("select", fmt::format("the chosen SAE {} is not there", printable(name)),
                "select again: --force select");
    result.push_back(&*found);
  }
  return result;
}

Collected collect_features(const TextModel& model, const std::string& model_name,
                           const std::vector<const EvaluationCell*>& cells,
                           const SelectionResult& selection, const CollectConfig& config,
                           OldFeatures old, Atlas& atlas, Reporter& reporter,
                           std::stop_token stop) {
  std::vector<WantedFeatures> wanted;
  for (const EvaluationCell* cell : cells)
    wanted.push_back(wanted_of(*cell, selection, config.max_features));
  ExemplarCollector collector(wanted, config.corpus.paths.size(), config.exemplars);
  Collected collected;
  read_corpus(model, cells, config, collector, collected, reporter, stop);
  std::vector<FeatureRecord> records = collector.finish(
      [&](std::int32_t id) { return model.tokenizer.decode(std::span(&id, 1), false); },
      part_names(config.corpus));

  Transaction transaction = atlas.transaction();
  if (old == OldFeatures::replace) atlas.forget_findings();
  atlas.put_model({.name = model_name});
  std::vector<std::int64_t> features;
  std::vector<std::int64_t> saes;
  std::size_t first = 0;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const EvaluationCell& cell = *cells[c];
    const std::span<FeatureRecord> own =
        std::span(records).subspan(first, wanted[c].features.size());
    first += own.size();
    add_logit_lens(model.model, model.tokenizer, cell.output, cell.sae, own);
    add_nearest(cell.sae, own);
    const std::int64_t sae = saes.emplace_back(atlas.put_sae(
        {.model = model_name,
         .name = wanted[c].sae,
         .site = cell.id.site,
         .layer = cell.input.layer,
         .architecture = cell.id.architecture,
         .n_features = cell.id.n_features,
         .details =
             dump_json(json{{"path", cell.id.path}, {"k", cell.id.k}, {"seed", cell.id.seed}})}));
    for (const FeatureRecord& record : own) {
      const std::string status = status_of(record, config);
      const std::int64_t id = features.emplace_back(atlas.put_feature(sae, record, status));
      put_selection(id, wanted[c].sae, record.feature, selection, atlas);
      ++collected.n_features;
      collected.n_insufficient += status != "ok";
    }
  }
  if (old == OldFeatures::replace) atlas.keep_features(features);
  transaction.commit();
  for (std::size_t c = 0; c < cells.size(); ++c)
    lay_out_features(atlas, saes[c], cells[c]->sae.w_dec(),
                     static_cast<std::size_t>(cells[c]->sae.spec().d_out), config.exemplars.seed);
  return collected;
}

}  // namespace safesail
