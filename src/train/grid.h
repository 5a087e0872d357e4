// Phase 1: a whole grid of SAEs (sites x architectures x sparsities x widths x seeds) trained from
// one truncated pass of the model.
//
// The source's blocks go through a shuffle buffer, and every SAE takes its steps on every block. A
// run lives in a folder. It may be killed at any time: the same call on the same folder goes on
// from the last checkpoint, and the result is, bit for bit, that of an uninterrupted run, the log
// included. An SAE that becomes worthless (grid_guard.h) is stopped alone.
//
// docs/training.md has every default with its source.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "harvest/block.h"
#include "harvest/site_statistics.h"
#include "sae/checkpoint.h"
#include "train/grid_cells.h"

namespace safesail {

struct GridConfig {
  std::vector<std::string> sites;  ///< names, in the order of ActivationBlock::values
  std::vector<GridCell> cells;
  std::uint64_t n_tokens = 0;  ///< budget; the learning-rate schedule ends here
  std::int64_t batch_tokens = 2048;
  double lr = 0;                        ///< 0: default_learning_rate of each cell
  double warmup_share = 0.05;           ///< of the budget: linear from 0
  double decay_share = 0.3;             ///< of the budget, at the end: linear to 0
  double k_anneal_share = 0;            ///< of the budget: k falls to its value over this
  std::int64_t block_rows = 16384;      ///< that the source gives at a time
  std::int64_t shuffle_buffer = 65536;  ///< rows in memory; less than a block: shuffled inside it
  std::uint64_t sample_tokens = 16384;  ///< that the sites are measured on
  double drop_sinks = 0;                ///< tokens longer than this x the median; 0: none
  std::uint64_t seed = 0;               ///< of the shuffling
  double checkpoint_minutes = 5;        ///< 0: after every block
  std::size_t keep_checkpoints = 2;     ///< the last ones, and the best
  bool overlap = true;                  ///< compute the next block while training on this one
};

/// 2e-4 / sqrt(F / 2^14), the rule of the TopK literature (Gao et al. 2024), for runs of 10,000
/// steps and more; a shorter one learns sqrt(10,000 / n_steps) times as fast, at most ten times.
double default_learning_rate(std::int64_t n_features, double n_steps);

/// Of an SAE of `n_features` at its peak, and when `tokens_seen` of the budget have been trained
/// on.
double peak_learning_rate(const GridConfig& config, std::int64_t n_features);
double learning_rate(const GridConfig& config, std::int64_t n_features, std::uint64_t tokens_seen);

/// k of a step: falls from kAnnealFactor times the cell's k, or all features, to k itself.
inline constexpr std::int64_t kAnnealFactor = 8;
std::int64_t annealed_k(const GridConfig& config, const SaeSpec& spec, std::uint64_t tokens_seen);

/// What is written into every SAE that reads a site, one entry a site of the config; what depends
/// on the cell is filled in by training.
using SiteProvenance = std::vector<SaeProvenance>;

struct CellTraining {
  std::string folder;
  double seconds = 0;    ///< inside its steps
  std::string stopped;   ///< why it was stopped; empty: it is finished
  std::uint64_t tokens;  ///< of the run when it ended
};

struct GridResult {
  std::uint64_t tokens_trained = 0;
  double source_seconds = 0;   ///< the model's own
  double waiting_seconds = 0;  ///< for activations; below source_seconds where both overlap
  double sae_seconds = 0;      ///< inside the SAEs' steps
  std::vector<CellTraining> cells;

  std::size_t n_stopped() const;
  /// Throw an environment error that lists the SAEs that were stopped, if any or if all were.
  void require_all_finished() const;
  void require_any_finished() const;
};

/// Trains and writes each cell's file and `<run>/metrics.jsonl`, and `<run>/sites.json` with what
/// the sites look like. A stopped cell leaves `stopped.json` and, from its best checkpoint,
/// `last_good.safetensors` in its folder instead.
/// `config_hash` names the whole configuration: a checkpoint of another one is refused.
/// The checkpoints stay, for a caller that is killed before it has noted the result down.
/// `stop` ends at the next block with a checkpoint and an environment error that says how to go on.
GridResult train_grid(BlockSource& source, const GridConfig& config,
                      const SiteProvenance& provenance, const fs::path& run,
                      const std::string& config_hash, const TokenText& token_text,
                      Reporter& reporter, std::stop_token stop);

/// Bytes that train_grid holds besides the model; activations have `bytes_per_value`.
std::uint64_t grid_memory_bytes(const GridConfig& config, std::size_t bytes_per_value);

/// Bytes that the checkpoints take on disk.
std::uint64_t checkpoint_bytes(const GridConfig& config);

}  // namespace safesail
