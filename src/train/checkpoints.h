// The state of a grid in training on disk: one folder a checkpoint, complete or absent.
//
//   <run>/checkpoints/<tokens>/state.json          GridProgress without the trainers
//                             /scores.json         how good each SAE is, for those who choose
//                             /<cell>.safetensors  SaeTrainer::save of each SAE that still trains
//
// A checkpoint is written under another name, synced, and renamed; then the older ones are renamed
// and removed, but for the last few and the best. An SAE is at its best where its FVU was lowest
// among the checkpoints in which its L0 was within 10 % of its target, or among all where it was in
// none (or has no target): more features active always make a lower FVU. For the grid, the fewest
// SAEs off their target, then the lowest mean FVU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "sae/trainer.h"
#include "train/grid_cells.h"

namespace safesail {

struct CellProgress {
  std::optional<SaeTrainer> trainer;  ///< nothing once stopped
  double seconds = 0;                 ///< inside its steps
  double fvu = 0, l0 = 0;             ///< of the last block
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
                     const std::vector<GridCell>& cells, const GridProgress& progress,
                     std::size_t keep_last);

/// The newest checkpoint of the run; nothing when there is none. Where it cannot be read the one
/// before is taken with a warning, and the unreadable ones are renamed; when none is left that is
/// an input error. So is one made with another configuration. What a kill left half written or half
/// removed is removed.
std::optional<GridProgress> load_checkpoint(const fs::path& run, const std::string& config_hash,
                                            const std::vector<GridCell>& cells, Reporter& reporter);

/// Of the checkpoints that are kept, the one where this cell was at its best.
struct CellCheckpoint {
  std::uint64_t tokens = 0;
  SaeTrainer trainer;
};
std::optional<CellCheckpoint> best_of_cell(const fs::path& run, const GridCell& cell,
                                           std::size_t index);

void remove_checkpoints(const fs::path& run);

}  // namespace safesail
