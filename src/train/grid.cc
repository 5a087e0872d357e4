#include "train/grid.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "base/units.h"
#include "harvest/prefetch.h"
#include "sae/moments.h"
#include "train/checkpoints.h"

namespace safesail {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::size_t kBlocksAhead = 1;
constexpr std::int64_t kGoldenRows = 64;

/// One training run: the trainers of every cell (site-major), and where they stand.
class Grid {
 public:
  Grid(const GridConfig& config, const fs::path& run, const std::string& config_hash,
       Reporter& reporter)
      : config_(config), run_(run), config_hash_(config_hash), reporter_(reporter) {}

  /// The cursor to continue from, or nothing for a fresh start.
  std::optional<std::uint64_t> resume() {
    const auto progress = load_checkpoint(run_, config_hash_, config_.trainer,
                                          config_.sites.size() * config_.ks.size(), trainers_);
    if (!progress) return std::nullopt;
    progress_ = *progress;
    reporter_.note(fmt::format("going on from the checkpoint at {} tokens",
                               human_count(static_cast<double>(progress_.tokens))));
    return progress_.cursor;
  }

  bool finished() const { return progress_.tokens >= config_.n_tokens; }
  const GridProgress& progress() const { return progress_; }

  void train_on(const ActivationBlock& block, double source_seconds) {
    const c10::InferenceMode inference;
    if (trainers_.empty()) start(block);
    progress_.source_seconds += source_seconds;
    const Clock::time_point start = Clock::now();
    const at::Tensor order = shuffled_rows(static_cast<std::int64_t>(block.n_rows()));
    std::vector<StepReport> last(trainers_.size());
    for (std::size_t s = 0; s < config_.sites.size(); ++s) train_site(block, s, order, last);
    progress_.sae_seconds += seconds_since(start);
    progress_.tokens += block.n_rows();
    progress_.cursor = block.cursor;
    ++progress_.n_blocks;
    record(last);
  }

  void save() { save_checkpoint(run_, config_hash_, progress_, trainers_); }

  /// Writes the finished SAEs, with some activations of the last block as golden vectors.
  void write_saes(const SiteProvenance& provenance, const std::vector<at::Tensor>& golden) const {
    for (std::size_t cell = 0; cell < trainers_.size(); ++cell) {
      const std::size_t site = cell / config_.ks.size();
      SaeProvenance filled = provenance[site];
      filled.seed = config_.seed;
      filled.tokens_trained = trainers_[cell].n_tokens();
      save_sae(sae_path(run_, config_.sites[site], config_.ks[cell % config_.ks.size()]),
               trainers_[cell].sae(), filled, golden[site]);
    }
    write_file(run_ / "metrics.jsonl", progress_.metrics);
  }

 private:
  /// Measures every site on the first block, then makes its SAEs.
  void start(const ActivationBlock& block) {
    for (std::size_t s = 0; s < config_.sites.size(); ++s) {
      const std::int64_t d_model = block.values[s].size(1);
      RunningMoments moments(d_model);
      moments.add(block.values[s].cpu());
      const InputTransform transform = moments.transform(config_.sites[s]);
      for (const std::int64_t k : config_.ks)
        trainers_.emplace_back(
            Sae::random(SaeSpec::topk(d_model, config_.n_features, k), transform, config_.seed),
            config_.trainer);
    }
  }

  /// The same order for every site, and the same again when a killed run repeats the block.
  at::Tensor shuffled_rows(std::int64_t n_rows) const {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n_rows));
    std::iota(order.begin(), order.end(), 0);
    Rng rng(config_.seed, fmt::format("shuffle block {}", progress_.n_blocks));
    shuffle(order, rng);
    return at::tensor(order, at::kLong);
  }

  void train_site(const ActivationBlock& block, std::size_t site, const at::Tensor& order,
                  std::vector<StepReport>& last) {
    const std::size_t first_cell = site * config_.ks.size();
    const at::Tensor x = block.values[site].index_select(0, order.to(block.values[site].device()));
    const at::Tensor z = trainers_[first_cell].sae().transform().apply(x.cpu());
    // Equal batches, as near to batch_tokens as the block allows: no small rest at its end.
    const std::int64_t n = z.size(0);
    const std::int64_t n_batches =
        std::max<std::int64_t>(1, (n + config_.batch_tokens / 2) / config_.batch_tokens);
    for (std::int64_t b = 0; b < n_batches; ++b) {
      const std::int64_t begin = n * b / n_batches, end = n * (b + 1) / n_batches;
      const at::Tensor batch = z.slice(0, begin, end);
      const double lr =
          learning_rate(config_, progress_.tokens + static_cast<std::uint64_t>(begin));
      for (std::size_t i = 0; i < config_.ks.size(); ++i)
        last[first_cell + i] = trainers_[first_cell + i].step(batch, {.lr = lr});
    }
  }

  void record(const std::vector<StepReport>& last) {
    double fvu = 0;
    for (std::size_t cell = 0; cell < last.size(); ++cell) {
      progress_.metrics += nlohmann::json{{"tokens", progress_.tokens},
                                          {"site", config_.sites[cell / config_.ks.size()]},
                                          {"k", config_.ks[cell % config_.ks.size()]},
                                          {"loss", last[cell].loss},
                                          {"fvu", last[cell].fvu},
                                          {"l0", last[cell].l0},
                                          {"n_dead", last[cell].n_dead}}
                               .dump() +
                           "\n";
      fvu += last[cell].fvu / static_cast<double>(last.size());
    }
    const double tokens = static_cast<double>(progress_.tokens);
    reporter_.progress(
        "train", std::min(progress_.tokens, config_.n_tokens), config_.n_tokens, "tokens",
        fmt::format("model {}/s, SAEs {}/s, mean FVU {:.3f}",
                    human_count(tokens / std::max(progress_.source_seconds, 1e-9)),
                    human_count(tokens / std::max(progress_.sae_seconds, 1e-9)), fvu));
  }

  const GridConfig& config_;
  const fs::path& run_;
  const std::string& config_hash_;
  Reporter& reporter_;
  std::vector<SaeTrainer> trainers_;
  GridProgress progress_;
};

void check(const GridConfig& config, const SiteProvenance& provenance) {
  SAFESAIL_CHECK(provenance.size() == config.sites.size());
  if (config.sites.empty() || config.ks.empty())
    bad_input("grid", "expected at least one site and one k",
              "name them, as in --sites mlp_out.3 --k 32");
  for (const std::int64_t k : config.ks)
    if (k < 1 || k > config.n_features)
      bad_input(
          "--k",
          fmt::format("expected 1 to {} (the number of features), got {}", config.n_features, k),
          "choose a smaller k or more features");
  if (config.n_tokens == 0 || config.batch_tokens < 1)
    bad_input("grid", "expected a budget and a batch of at least one token",
              "give --tokens and --batch");
}

}  // namespace

GridResult train_grid(BlockSource& source, const GridConfig& config,
                      const SiteProvenance& provenance, const fs::path& run,
                      const std::string& config_hash, Reporter& reporter, std::stop_token stop) {
  check(config, provenance);
  Grid grid(config, run, config_hash, reporter);
  if (const auto cursor = grid.resume()) source.skip_to(*cursor);

  std::optional<Prefetcher> ahead;
  if (config.overlap) ahead.emplace(source, kBlocksAhead);
  std::vector<at::Tensor> golden;
  Clock::time_point last_saved = Clock::now();
  while (!grid.finished()) {
    const Clock::time_point start = Clock::now();
    const std::optional<ActivationBlock> block = ahead ? ahead->next() : source.next();
    if (!block) break;
    grid.train_on(*block, seconds_since(start));
    golden.clear();
    for (const at::Tensor& value : block->values)
      golden.push_back(value.slice(0, 0, std::min(kGoldenRows, value.size(0))).cpu().clone());

    if (grid.finished()) break;
    if (stop.stop_requested() || seconds_since(last_saved) >= config.checkpoint_minutes * 60) {
      grid.save();
      last_saved = Clock::now();
    }
    if (stop.stop_requested())
      failed(
          "train",
          fmt::format("stopped after {} tokens; everything learnt is kept", grid.progress().tokens),
          "run the same command again to go on from there");
  }
  if (golden.empty())
    bad_input("corpus", "expected at least one block of activations to train on, got none",
              "name a corpus with text in it");
  if (!grid.finished())
    reporter.warn(fmt::format(
        "the corpus ended after {} of {} tokens; the learning rate had not come to its end",
        grid.progress().tokens, config.n_tokens));
  grid.write_saes(provenance, golden);
  remove_checkpoints(run);
  return {grid.progress().tokens, grid.progress().source_seconds, grid.progress().sae_seconds};
}

std::uint64_t grid_memory_bytes(const GridConfig& config, std::int64_t d_model,
                                std::int64_t block_rows) {
  const std::uint64_t n_sites = config.sites.size();
  const auto values = static_cast<std::uint64_t>(block_rows) * static_cast<std::uint64_t>(d_model);
  // A block in bf16 for every site, once more while its parts are joined (and one that is computed
  // ahead), the shuffled copy and the f32 z of one site.
  std::uint64_t bytes = values * (n_sites * 2 * (config.overlap ? 3 : 2) + 2 + 4);
  for (const std::int64_t k : config.ks)
    bytes += n_sites * SaeTrainer::memory_bytes(SaeSpec::topk(d_model, config.n_features, k),
                                                config.trainer, config.batch_tokens);
  return bytes;
}

fs::path sae_path(const fs::path& run, const std::string& site, std::int64_t k) {
  return run / "sae" / site / fmt::format("topk-k{}", k) / "sae.safetensors";
}

}  // namespace safesail
