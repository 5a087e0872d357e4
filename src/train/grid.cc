#include "train/grid.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/error.h"
#include "harvest/peek.h"
#include "harvest/prefetch.h"
#include "harvest/shuffle_buffer.h"
#include "sae/architecture.h"
#include "train/grid_training.h"

namespace safesail {
namespace {

constexpr std::size_t kBlocksAhead = 1;

void check(const GridConfig& config, const SiteProvenance& provenance) {
  SAFESAIL_CHECK(provenance.size() == config.sites.size());
  if (config.cells.empty())
    bad_input("grid", "expected at least one SAE to train", "name a site, as in --sites mlp_out.3");
  if (config.n_tokens == 0 || config.batch_tokens < 1 || config.block_rows < 1 ||
      config.sample_tokens < 2)
    bad_input("grid", "expected a budget, a batch, a block and a sample of some tokens",
              "give --tokens, --batch and --block");
  if (config.drop_sinks != 0 && config.drop_sinks < 2)
    bad_input("--drop-sinks", fmt::format("expected 0 or at least 2, got {}", config.drop_sinks),
              "it is a multiple of the median norm; 10 is usual");
  if (config.k_anneal_share > 0)
    for (const GridCell& cell : config.cells)
      if (const std::string& architecture = cell.spec.architecture;
          !find_architecture(architecture).fixes_k())
        bad_input("k annealing",
                  fmt::format("expected architectures with a fixed k, got {}, whose k is only the "
                              "L0 that it aims at",
                              architecture),
                  "leave --k-anneal (k_anneal_share) out, or train the others in a run of theirs");
}

}  // namespace

std::size_t GridResult::n_stopped() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(cells, [](const auto& cell) { return !cell.stopped.empty(); }));
}

void GridResult::require_all_finished() const {
  if (n_stopped() == 0) return;
  std::string causes;
  for (const CellTraining& cell : cells)
    if (!cell.stopped.empty())
      causes += fmt::format("\n  {} at {} tokens: {}", cell.folder, cell.tokens, cell.stopped);
  failed("train", fmt::format("{} of {} SAEs were stopped:{}", n_stopped(), cells.size(), causes),
         "the others are finished; lower --lr for these, or see their stopped.json");
}

void GridResult::require_any_finished() const {
  if (n_stopped() == cells.size()) require_all_finished();
}

GridResult train_grid(BlockSource& source, const GridConfig& config,
                      const SiteProvenance& provenance, const fs::path& run,
                      const std::string& config_hash, const TokenText& token_text,
                      Reporter& reporter, std::stop_token stop) {
  check(config, provenance);
  Peek peek(source);
  GridTraining grid(config, provenance, run, config_hash, reporter);
  if (!grid.resume()) grid.start(peek, token_text);
  ShuffleBuffer shuffled(peek, shuffle_ways(config.shuffle_buffer, config.block_rows), config.seed);
  shuffled.skip(grid.progress().n_blocks);

  std::optional<Prefetcher> ahead;
  if (config.overlap) ahead.emplace(shuffled, kBlocksAhead);
  Clock::time_point last_saved = Clock::now();
  std::uint64_t blocks_saved = grid.progress().n_blocks;
  while (!grid.finished()) {
    const Clock::time_point start = Clock::now();
    const std::optional<ActivationBlock> block = ahead ? ahead->next() : shuffled.next();
    if (!block) break;
    const double waited = seconds_since(start);
    // Only where more is to come, so that a resumed run always has a block to end with.
    const bool due =
        stop.stop_requested() || seconds_since(last_saved) >= config.checkpoint_minutes * 60;
    if (due && grid.progress().n_blocks > blocks_saved) {
      grid.save();
      blocks_saved = grid.progress().n_blocks;
      last_saved = Clock::now();
    }
    if (stop.stop_requested())
      failed(
          "train",
          fmt::format("stopped after {} tokens; everything learnt is kept", grid.progress().tokens),
          "run the same command again to go on from there");
    grid.train_on(*block, waited);
  }
  if (!grid.finished())
    reporter.warn(fmt::format(
        "the corpus ended after {} of {} tokens; the learning rate had not come to its end",
        grid.progress().tokens, config.n_tokens));
  grid.finish();
  return grid.result();
}

std::uint64_t grid_memory_bytes(const GridConfig& config, std::size_t bytes_per_value) {
  std::uint64_t row = 0;  // of all sites
  std::set<std::string> counted;
  std::uint64_t widest = 0, saes = 0;
  for (const GridCell& cell : config.cells) {
    const auto in = static_cast<std::uint64_t>(cell.spec.d_in),
               out = static_cast<std::uint64_t>(cell.spec.d_out);
    if (counted.insert(cell.site).second) row += in * bytes_per_value;
    if (counted.insert(cell.output_site).second) row += out * bytes_per_value;
    widest = std::max(widest, in + out);
    saes += SaeTrainer::memory_bytes(cell.spec, cell.trainer, config.batch_tokens);
  }
  // Held by the shuffle buffer, (ways - 1) / 2 blocks; one more while it comes in, twice while it
  // goes out; with overlap one waits and one is trained on meanwhile.
  const auto ways =
      static_cast<std::uint64_t>(shuffle_ways(config.shuffle_buffer, config.block_rows));
  const std::uint64_t halves = ways - 1 + 2 * (config.overlap ? 4 : 2);
  const std::uint64_t blocks = static_cast<std::uint64_t>(config.block_rows) * row * halves / 2;
  // z and target of a batch.
  return blocks + saes + static_cast<std::uint64_t>(config.batch_tokens) * widest * sizeof(float);
}

std::uint64_t checkpoint_bytes(const GridConfig& config) {
  std::uint64_t weights = 0;
  for (const GridCell& cell : config.cells)
    weights += static_cast<std::uint64_t>(cell.spec.n_features) *
               static_cast<std::uint64_t>(cell.spec.d_in + cell.spec.d_out);
  // Weights and two moments; the last ones, the best, and the one that is being written.
  return 3 * sizeof(float) * weights * (config.keep_checkpoints + 2);
}

}  // namespace safesail
