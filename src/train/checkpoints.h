// The state of a grid in training on disk: one folder a checkpoint, complete or absent.
//
//   <run>/checkpoints/<tokens>/state.json          GridProgress without the trainers
//                             /scores.json         FVU of each SAE, for those who choose
//                             /<cell>.safetensors  SaeTrainer::save of each SAE that still trains
//
// A checkpoint is written under another name, synced, and renamed; then the older ones are removed,
// but for the last few and the best, which is the one with the lowest mean FVU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "sae/trainer.h"
#include "train/grid_cells.h"

namespace safesail {

struct CellProgress {
  std::optional<SaeTrainer> trainer;  ///< nothing once stopped
  double seconds = 0;                 ///< inside its steps
  double fvu = 0;                     ///< of the last block
  std::string stopped;                ///< the cause; empty while it trains
  std::uint64_t stopped_at = 0;       ///< tokens
};

struct GridProgress {
  std::uint64_t n_blocks = 0;  ///< trained on so far: where the source goes on
  std::uint64_t tokens = 0;    ///< trained on so far
  double model_seconds = 0, waiting_seconds = 0, sae_seconds = 0;
  std::vector<double> norm_limits;  ///< a site; longer activations are dropped; empty: none are
  std::string metrics;              ///< the lines of metrics.jsonl so far
  std::vector<CellProgress> cells;  ///< in the order of GridConfig::cells
};

void save_checkpoint(const fs::path& run, const std::string& config_hash,
                     const GridProgress& progress, std::size_t keep_last);

/// The newest checkpoint of the run; nothing when there is none. One made with another
/// configuration is an input error.
std::optional<GridProgress> load_checkpoint(const fs::path& run, const std::string& config_hash,
                                            const std::vector<GridCell>& cells);

/// Of the checkpoints that are kept, the one where this cell's FVU was lowest.
struct CellCheckpoint {
  std::uint64_t tokens = 0;
  SaeTrainer trainer;
};
std::optional<CellCheckpoint> best_of_cell(const fs::path& run, const GridCell& cell,
                                           std::size_t index);

void remove_checkpoints(const fs::path& run);

}  // namespace safesail
