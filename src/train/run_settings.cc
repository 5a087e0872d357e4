#include "train/run_settings.h"

#include <fmt/format.h>
#include <utility>

namespace safesail {
namespace {

using nlohmann::json;

json corpus_settings(const RunConfig& c) {
  return {{"paths", c.corpus.paths},
          {"field", c.corpus.field},
          {"document_per_line", c.corpus.document_per_line},
          {"shuffle_window", c.corpus.shuffle_window},
          {"seed", c.corpus.seed},
          {"max_sequence", c.batch.max_sequence},
          {"batch_tokens", c.batch.batch_tokens},
          {"add_special", c.batch.add_special},
          {"held_out_share", c.held_out_share}};
}

}  // namespace

void resolve_sites(RunConfig& config, int n_layers) {
  config.lists.sites.clear();
  if (!config.sites.empty())
    for (const Site& site : parse_sites(config.sites, n_layers))
      config.lists.sites.push_back(to_string(site));
  for (const std::string& site : config.grid.sites = sites_of(config.lists))
    parse_site(site, n_layers);
}

json grid_settings(const GridLists& lists, const GridConfig& grid) {
  const TrainerOptions& trainer = lists.trainer;
  return {{"transcoders", lists.transcoders},
          {"architectures", lists.architectures},
          {"ks", lists.ks},
          {"expansions", lists.expansions},
          {"n_features", lists.n_features},
          {"n_seeds", lists.n_seeds},
          {"seed", lists.seed},
          {"skip", lists.skip},
          {"n_tokens", grid.n_tokens},
          {"batch_tokens", grid.batch_tokens},
          {"block_rows", grid.block_rows},
          {"shuffle_buffer", grid.shuffle_buffer},
          {"sample_tokens", grid.sample_tokens},
          {"drop_sinks", grid.drop_sinks},
          {"lr", grid.lr},
          {"warmup_share", grid.warmup_share},
          {"decay_share", grid.decay_share},
          {"k_anneal_share", grid.k_anneal_share},
          {"auxk_coefficient", trainer.auxk_coefficient},
          {"k_aux", trainer.k_aux},
          {"clip_norm", trainer.clip_norm},
          {"penalty", trainer.penalty},
          {"bandwidth", trainer.bandwidth},
          {"adam_epsilon", trainer.epsilon},
          {"dead_after_tokens", dead_after(lists, grid.n_tokens)},
          {"trainer_device", trainer.device}};
}

json training_settings(const RunConfig& config) {
  json settings = grid_settings(config.lists, config.grid);
  settings["model"] = config.model.string();
  settings["dtype"] = config.load.dtype == ComputeType::f32 ? "f32" : "bf16";
  settings["sites"] = config.sites;
  settings["corpus"] = corpus_settings(config);
  return settings;
}

json evaluation_settings(const RunConfig& config) {
  return {{"training", training_settings(config)},
          {"n_tokens", config.evaluation.n_tokens},
          {"n_loss_tokens", config.evaluation.n_loss_tokens},
          {"n_resamples", config.evaluation.n_resamples},
          {"seed", config.evaluation.seed}};
}

json to_json(const GridResult& result) {
  json cells = json::array();
  for (const CellTraining& cell : result.cells) {
    cells.push_back({{"sae", cell.folder}, {"seconds", cell.seconds}, {"tokens", cell.tokens}});
    if (!cell.stopped.empty()) cells.back()["stopped"] = cell.stopped;
  }
  return {{"tokens", result.tokens_trained},
          {"model_seconds", result.source_seconds},
          {"waiting_seconds", result.waiting_seconds},
          {"sae_seconds", result.sae_seconds},
          {"saes", cells}};
}

GridResult grid_result(const json& details) {
  if (!details.is_object()) return {};
  try {
    GridResult result{.tokens_trained = details.value("tokens", std::uint64_t{0}),
                      .source_seconds = details.value("model_seconds", 0.0),
                      .waiting_seconds = details.value("waiting_seconds", 0.0),
                      .sae_seconds = details.value("sae_seconds", 0.0),
                      .cells = {}};
    for (const json& cell : details.value("saes", json::array()))
      result.cells.push_back({.folder = cell.value("sae", ""),
                              .seconds = cell.value("seconds", 0.0),
                              .stopped = cell.value("stopped", ""),
                              .tokens = cell.value("tokens", std::uint64_t{0})});
    return result;
  } catch (const json::exception&) {
    return {};  // of another version; the numbers are for people
  }
}

}  // namespace safesail
