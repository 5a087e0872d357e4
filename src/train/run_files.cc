#include "train/run_files.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/memory.h"
#include "base/units.h"
#include "base/version.h"
#include "harvest/activation_files.h"
#include "train/run_settings.h"
#include "train/run_stages.h"

namespace safesail {
namespace {

using nlohmann::json;

struct FileRun {
  FileRunConfig config;
  Reporter& reporter;
  std::stop_token stop;
  std::uint64_t n_rows = 0, n_train = 0;
  RunResult result = {};

  json settings() const {
    json all = grid_settings(config.lists, config.grid);
    all["activations"] = config.activations.string();
    all["sites"] = config.lists.sites;
    all["held_out_share"] = config.held_out_share;
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
  run.n_train = static_cast<std::uint64_t>(
      std::ceil(static_cast<double>(run.n_rows) * (1 - run.config.held_out_share)));
  if (grid.n_tokens == 0 || grid.n_tokens > run.n_train) grid.n_tokens = run.n_train;
  std::int64_t& dead_after = run.config.lists.trainer.dead_after_tokens;
  dead_after = std::min(dead_after, static_cast<std::int64_t>(grid.n_tokens));
  grid.cells = make_cells(run.config.lists, widths);
}

StageRecord train(FileRun& run) {
  const GridConfig& grid = run.config.grid;
  const std::uint64_t bytes = grid_memory_bytes(grid, sizeof(float));
  run.reporter.note(fmt::format("memory: {} for {} SAEs and the shuffle buffer", human_bytes(bytes),
                                grid.cells.size()));
  require_memory(bytes, "the grid of SAEs", "train fewer or smaller ones (--expansion)");

  const json settings = run.settings();
  const std::string hash = hash_of(settings);
  SiteProvenance provenance;
  for (const std::string& site : grid.sites)
    provenance.push_back({.site = site, .config_hash = hash, .program_version = kVersion});
  ActivationReader reader = run.reader(grid.sites, 0, grid.n_tokens);
  run.result.training =
      train_grid(reader, grid, provenance, run.config.out, hash, {}, run.reporter, run.stop);
  return training_record(settings, {run.config.activations.string()}, grid, run.result.training);
}

StageRecord evaluate_run(FileRun& run) {
  run.result.training.require_any_finished();
  const GridConfig& grid = run.config.grid;
  std::string lines;
  for (const std::string& site : grid.sites) {
    std::vector<Sae> saes;
    std::vector<const GridCell*> cells;
    for (const GridCell& cell : grid.cells) {
      const fs::path file = cell.file(run.config.out);
      if (cell.site != site || cell.output_site != site || !fs::exists(file)) continue;
      saes.push_back(load_sae(file).sae);
      cells.push_back(&cell);
    }
    if (saes.empty() || run.n_train >= run.n_rows) continue;
    ActivationReader held_out = run.reader({site}, run.n_train, 0);
    std::vector<CellResult> results = evaluate_reconstruction(held_out, site, saes);
    for (std::size_t i = 0; i < results.size(); ++i) {
      results[i].id.seed = cells[i]->seed;
      results[i].id.path = cells[i]->file(run.config.out).string();
      lines += to_json(results[i]) + "\n";
      run.result.cells.push_back(std::move(results[i]));
    }
  }
  write_file(run.config.out / "evaluation.jsonl", lines);
  return {.config = run.settings(),
          .inputs = {"sae", run.config.activations.string()},
          .outputs = {"evaluation.jsonl"},
          .seed = grid.seed,
          .tokens = run.n_rows - run.n_train};
}

}  // namespace

RunResult run_on_activations(FileRunConfig config, const std::optional<std::string>& force,
                             Reporter& reporter, std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  const fs::path out = config.out;
  FileRun run{std::move(config), reporter, stop};
  resolve(run);
  const std::vector<Stage<FileRun>> stages = {
      {"train", run.settings(), train, kTrainingWrites, recall_training},
      {"evaluate", run.settings(), evaluate_run, {"evaluation.jsonl"}},
  };
  do_stages(stages, run, out, force, reporter);
  run.result.total_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::move(run.result);
}

}  // namespace safesail
