#include "train/run_files.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

#include "base/hash.h"
#include "base/memory.h"
#include "base/units.h"
#include "base/version.h"
#include "harvest/activation_files.h"
#include "train/checkpoints.h"

namespace safesail {
namespace {

std::string hash_of(const FileRunConfig& c) {
  const GridConfig& g = c.grid;
  return hash_hex(fmt::format("{} {} {} {} {} {} {} {} {} {} {}", c.activations.string(), c.key,
                              fmt::join(g.ks, ","), g.n_features, g.n_tokens, g.batch_tokens,
                              c.block_rows, g.lr, g.trainer.auxk_coefficient, g.trainer.clip_norm,
                              g.seed));
}

}  // namespace

RunResult run_on_activations(FileRunConfig config, Reporter& reporter, std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  const ActivationReader whole(config.activations, {config.key}, config.block_rows);
  const std::int64_t d = whole.widths().front();
  const auto n_train = static_cast<std::uint64_t>(
      std::ceil(static_cast<double>(whole.n_rows()) * (1 - config.held_out_share)));
  GridConfig& grid = config.grid;
  grid.sites = {config.key};
  if (grid.n_features == 0)
    grid.n_features = std::llround(config.expansion * static_cast<double>(d));
  if (grid.n_tokens == 0 || grid.n_tokens > n_train) grid.n_tokens = n_train;
  grid.trainer.dead_after_tokens =
      std::min(grid.trainer.dead_after_tokens, static_cast<std::int64_t>(grid.n_tokens));

  const std::uint64_t bytes = grid_memory_bytes(grid, d, config.block_rows);
  reporter.note(fmt::format("memory: {} for {} SAEs of {} features", human_bytes(bytes),
                            grid.ks.size(), grid.n_features));
  require_memory(bytes, "the grid of SAEs", "train fewer or smaller ones (--expansion)");

  if (config.force) remove_checkpoints(config.out);
  const std::string hash = hash_of(config);
  ActivationReader reader(config.activations, {config.key}, config.block_rows, grid.n_tokens);
  RunResult result;
  result.training = train_grid(
      reader, grid, {{.site = config.key, .config_hash = hash, .program_version = kVersion}},
      config.out, hash, reporter, stop);

  std::vector<Sae> saes;
  for (const std::int64_t k : grid.ks)
    saes.push_back(load_sae(sae_path(config.out, config.key, k)).sae);
  if (n_train < whole.n_rows()) {
    ActivationReader held_out(config.activations, {config.key}, config.block_rows);
    held_out.skip_to(n_train);
    result.cells = evaluate_reconstruction(held_out, config.key, saes);
  }
  std::string lines;
  for (const CellResult& cell : result.cells) lines += to_json(cell) + "\n";
  write_file(config.out / "evaluation.jsonl", lines);
  result.total_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace safesail
