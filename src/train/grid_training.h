// The state of a grid in training and what happens to it: start, a block, a checkpoint, the end.
// The parts of train_grid (grid.h), on one thread.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "train/checkpoints.h"
#include "train/grid.h"
#include "train/grid_guard.h"

namespace safesail {

class Peek;

class GridTraining {
 public:
  /// The arguments must outlive this object.
  GridTraining(const GridConfig& config, const SiteProvenance& provenance, const fs::path& run,
               const std::string& config_hash, Reporter& reporter);

  /// Goes on from the newest checkpoint; false when there is none.
  bool resume();
  /// Measures every site on the first blocks and makes the SAEs.
  void start(Peek& source, const TokenText& token_text);

  /// One block for every SAE; `waited` seconds for it.
  void train_on(const ActivationBlock& block, double waited);
  void save();
  /// Writes the finished SAEs and the log.
  void finish() const;

  const GridProgress& progress() const { return progress_; }
  bool finished() const;
  GridResult result() const;

 private:
  /// Cells that read and reconstruct the same sites: their batches are prepared once.
  struct Group {
    std::size_t in, out;                     ///< indices of the sites
    std::vector<std::size_t> cells;          ///< indices
    std::vector<InputTransform> transforms;  ///< of both; empty when no cell trains
  };

  std::size_t site_index(const std::string& name) const;
  void take_transforms();
  void train_group(const Group& group, const ActivationBlock& block);
  void step(std::size_t cell, const at::Tensor& z, const at::Tensor& target,
            std::uint64_t tokens_seen);
  void record_and_judge();
  void stop_cell(std::size_t cell, const std::string& cause);
  void show() const;
  void save_cell(const char* name, std::size_t cell, const SaeTrainer& trainer) const;

  const GridConfig& config_;
  const SiteProvenance& provenance_;
  const fs::path& run_;
  const std::string& config_hash_;
  Reporter& reporter_;
  std::vector<Group> groups_;
  GridProgress progress_;
  std::vector<std::vector<TrainingRecord>> history_;  ///< a cell
  std::vector<TrainingRecord> sums_;                  ///< a cell: over the steps of the block
  std::vector<std::uint64_t> n_steps_;                ///< behind sums_
  std::vector<at::Tensor> golden_;                    ///< a site: some rows of the last block
};

}  // namespace safesail
