// Phase 1: a whole grid of SAEs (sites x sparsities) trained from one truncated pass of the model.
//
// A run lives in a folder (run_folder.h). It may be killed at any time: the same call on the same
// folder goes on from the last checkpoint, and the result is, bit for bit, that of an uninterrupted
// run.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "harvest/block.h"
#include "sae/checkpoint.h"
#include "sae/trainer.h"

namespace safesail {

struct GridConfig {
  std::vector<std::string> sites;  ///< names, in the order of ActivationBlock::values
  std::vector<std::int64_t> ks;    ///< one SAE a site and k
  std::int64_t n_features = 0;     ///< dictionary size F of each
  std::uint64_t n_tokens = 0;      ///< budget; the learning-rate schedule ends here
  std::int64_t batch_tokens = 2048;
  double lr = 0;               ///< 0: default_learning_rate(n_features)
  double warmup_share = 0.05;  ///< of the budget: linear from 0
  double decay_share = 0.3;    ///< of the budget, at the end: linear to 0
  std::uint64_t seed = 0;
  TrainerOptions trainer;
  double checkpoint_minutes = 5;  ///< 0: after every block
  bool overlap = false;           ///< compute the next block in a thread of its own while training
};

/// 2e-4 / sqrt(F / 2^14), the rule of the TopK literature (Gao et al. 2024).
double default_learning_rate(std::int64_t n_features);

/// The learning rate when `tokens_seen` of the budget have been trained on.
double learning_rate(const GridConfig& config, std::uint64_t tokens_seen);

/// What is written into every SAE, one entry a site; tokens_trained and seed are filled in by
/// training.
using SiteProvenance = std::vector<SaeProvenance>;

struct GridResult {
  std::uint64_t tokens_trained = 0;
  double source_seconds = 0;  ///< waiting for or computing activations
  double sae_seconds = 0;     ///< inside the SAEs' steps
};

/// Trains and writes `<run>/sae/<site>/topk-k<k>/sae.safetensors` and `<run>/metrics.jsonl`.
/// `config_hash` names the whole configuration: a checkpoint of another one is refused.
/// `stop` ends at the next block with a checkpoint and an environment error that says how to go on.
GridResult train_grid(BlockSource& source, const GridConfig& config,
                      const SiteProvenance& provenance, const fs::path& run,
                      const std::string& config_hash, Reporter& reporter, std::stop_token stop);

/// Bytes that train_grid holds besides the model.
std::uint64_t grid_memory_bytes(const GridConfig& config, std::int64_t d_model,
                                std::int64_t block_rows);

/// Where the SAE of a cell lies inside a run.
fs::path sae_path(const fs::path& run, const std::string& site, std::int64_t k);

}  // namespace safesail
