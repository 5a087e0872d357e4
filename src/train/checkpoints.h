// The state of a grid in training on disk: one folder a checkpoint, complete or absent.
//
//   <run>/checkpoints/<tokens>/state.json          cursor, tokens, config hash, metrics so far
//                             /<cell>.safetensors  SaeTrainer::save of each SAE
//
// A checkpoint is written under another name, synced, and renamed; then the older ones are removed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "sae/trainer.h"

namespace safesail {

struct GridProgress {
  std::uint64_t cursor = 0;  ///< of the last block trained on (ActivationBlock::cursor)
  std::uint64_t n_blocks = 0;
  std::uint64_t tokens = 0;  ///< trained on so far
  double source_seconds = 0, sae_seconds = 0;
  std::string metrics;  ///< the lines of metrics.jsonl so far
};

void save_checkpoint(const fs::path& run, const std::string& config_hash,
                     const GridProgress& progress, const std::vector<SaeTrainer>& trainers);

/// The newest checkpoint of the run; nothing when there is none. Fills `trainers`. One made with
/// another configuration is an input error.
std::optional<GridProgress> load_checkpoint(const fs::path& run, const std::string& config_hash,
                                            const TrainerOptions& options, std::size_t n_trainers,
                                            std::vector<SaeTrainer>& trainers);

void remove_checkpoints(const fs::path& run);

}  // namespace safesail
