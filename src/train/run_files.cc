#include "train/run_files.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/memory.h"
#include "base/version.h"
#include "harvest/activation_files.h"
#include "sae/checkpoint.h"
#include "stages/stages.h"
#include "train/checkpoints.h"
#include "train/evaluate_reconstruction.h"
#include "train/report.h"
#include "train/run_settings.h"
#include "train/training_data.h"
#include "train/training_stage.h"

namespace safesail {
namespace {

using nlohmann::json;

struct FileRun {
  FileRunConfig config;
  Reporter& reporter;
  std::stop_token stop;
  std::uint64_t n_rows = 0, n_train = 0;
  std::map<std::string, std::string> metadata = {};  ///< of the files
  RunResult result = {};

  json settings() const {
    json all = grid_settings(config.lists, config.grid);
    all["activations"] = config.activations.string();
    all["sites"] = config.lists.sites;
    all["held_out_share"] = config.held_out_share;
    if (const auto data = from_metadata(metadata))
      all["activations_of"] = {{"corpus", data->corpus}, {"held_out_share", data->held_out_share}};
    return all;
  }
  ActivationReader reader(std::vector<std::string> keys, std::uint64_t from,
                          std::uint64_t to) const {
    return {config.activations, std::move(keys), config.grid.block_rows, from, to};
  }
};

/// Sites, widths and cells as the files know them.
void resolve(FileRun& run) {
  GridConfig& grid = run.config.grid;
  grid.sites = sites_of(run.config.lists);
  const ActivationReader whole = run.reader(grid.sites, 0, 0);
  std::map<std::string, std::int64_t> widths;
  for (std::size_t s = 0; s < grid.sites.size(); ++s) widths[grid.sites[s]] = whole.widths()[s];
  run.n_rows = whole.n_rows();
  run.metadata = whole.metadata();
  run.n_train = static_cast<std::uint64_t>(
      std::ceil(static_cast<double>(run.n_rows) * (1 - run.config.held_out_share)));
  if (grid.n_tokens == 0 || grid.n_tokens > run.n_train) grid.n_tokens = run.n_train;
  grid.cells = make_cells(run.config.lists, widths, grid.n_tokens);
}

StageRecord train(FileRun& run) {
  const GridConfig& grid = run.config.grid;
  const std::uint64_t bytes = grid_memory_bytes(grid, sizeof(float));
  state_memory("the program",
               {{bytes, fmt::format("{} SAEs and the shuffle buffer", grid.cells.size())}},
               "the grid of SAEs", "train fewer or smaller ones (--expansion)", run.reporter);

  const json settings = run.settings();
  const std::string hash = hash_of(settings);
  SiteProvenance provenance;
  const auto stated = [&](const char* key) {
    const auto found = run.metadata.find(key);
    return found == run.metadata.end() ? std::string() : found->second;
  };
  for (const std::string& site : grid.sites)
    provenance.push_back({.site = site,
                          .model_name = stated("model"),
                          .model_hash = stated("model_hash"),
                          .tokenizer_hash = stated("tokenizer_hash"),
                          .token_policy = stated("token_policy"),
                          .config_hash = hash,
                          .program_version = kVersion});
  ActivationReader reader = run.reader(grid.sites, 0, grid.n_tokens);
  run.result.training =
      train_grid(reader, grid, provenance, run.config.out, hash, {}, run.reporter, run.stop);
  return training_record(settings, {run.config.activations.string()}, grid, run.result.training);
}

std::vector<std::pair<std::string, std::string>> report_facts(const FileRun& run,
                                                              const std::string& intervals) {
  return {{"activations", run.config.activations.string()},
          {"held out", fmt::format("the last {} of {} rows", run.n_rows - run.n_train, run.n_rows)},
          {"intervals", intervals},
          {"training", hash_of(run.settings())},
          {"version", std::string("safesail ") + kVersion}};
}

StageRecord evaluate_run(FileRun& run) {
  run.result.training.require_any_finished();
  const GridConfig& grid = run.config.grid;
  std::vector<Sae> saes;
  std::vector<Route> routes;
  std::vector<SaeIdentity> ids;
  const auto index = [&](const std::string& site) {
    return static_cast<std::size_t>(std::ranges::find(grid.sites, site) - grid.sites.begin());
  };
  for (const GridCell& cell : grid.cells) {
    const fs::path file = cell.file(run.config.out);
    if (!fs::exists(file)) continue;
    saes.push_back(load_sae(file).sae);
    routes.push_back({nullptr, index(cell.site), index(cell.output_site)});
    ids.push_back({.site = cell.site,
                   .output_site = cell.output_site,
                   .architecture = cell.spec.architecture,
                   .k = cell.spec.k,
                   .n_features = cell.spec.n_features,
                   .seed = cell.seed,
                   .path = file.string()});
  }
  for (std::size_t i = 0; i < saes.size(); ++i) routes[i].sae = &saes[i];
  std::string lines, intervals = "none: nothing is held out";
  if (run.n_train < run.n_rows) {
    const EvaluationConfig config;
    ActivationReader held_out = run.reader(grid.sites, run.n_train, 0);
    intervals = held_out.has_documents() ? fmt::format("{} resamples of documents, seed {}",
                                                       config.n_resamples, config.seed)
                                         : "no intervals: no document ids";
    if (!held_out.has_documents()) run.reporter.note(intervals);
    run.result.cells = evaluate_reconstruction(held_out, std::move(routes), ids, config);
    add_training_rates(run.result.training, run.result.cells);
  }
  for (const CellResult& cell : run.result.cells) lines += to_json(cell) + "\n";
  write_file(run.config.out / "evaluation.jsonl", lines);
  write_report(run.config.out / "report.html",
               {.title = "Evaluation of " + run.config.out.string(),
                .facts = report_facts(run, intervals),
                .cells = run.result.cells,
                .training = read_training_curves(run.config.out / "metrics.jsonl")});
  return {.config = run.settings(),
          .inputs = {"sae", run.config.activations.string()},
          .outputs = {"evaluation.jsonl", "report.html"},
          .seed = grid.seed,
          .tokens = run.n_rows - run.n_train};
}

}  // namespace

RunResult run_on_activations(FileRunConfig config, const std::optional<std::string>& force,
                             Reporter& reporter, std::stop_token stop) {
  const Clock::time_point start = Clock::now();
  const fs::path out = config.out;
  FileRun run{std::move(config), reporter, stop};
  resolve(run);
  const std::vector<Stage> stages = {
      {.name = "train",
       .config = run.settings(),
       .run = [&] { return train(run); },
       .writes = kTrainingWrites,
       .recall = [&](const json& details) { run.result.training = grid_result(details); },
       .clean_up = [&] { remove_checkpoints(out); }},
      {.name = "evaluate",
       .config = run.settings(),
       .run = [&] { return evaluate_run(run); },
       .writes = {"evaluation.jsonl", "report.html"}},
  };
  do_stages(stages, out, force, reporter);
  run.result.total_seconds = seconds_since(start);
  return std::move(run.result);
}

}  // namespace safesail
