// Phase 1 on activations that are already there: a grid of SAEs from files, no model.
#pragma once

#include <stop_token>
#include <string>

#include "base/file.h"
#include "base/report.h"
#include "train/run.h"

namespace safesail {

struct FileRunConfig {
  fs::path activations;   ///< a safetensors file, or a folder of them
  std::string key = "x";  ///< tensor [N, d]
  /// Of the rows, at their end: kept for evaluation. (Files do not tell documents apart.)
  double held_out_share = 0.05;
  double expansion = 8;  ///< n_features = expansion * d, where grid.n_features is 0
  std::int64_t block_rows = 16384;
  GridConfig grid;  ///< its site is the key; n_tokens 0 or too many: all rows that are not held out
  fs::path out;
  bool force = false;
};

/// The run folder and the resume are those of run_phase_one; the results have no losses.
RunResult run_on_activations(FileRunConfig config, Reporter& reporter, std::stop_token stop);

}  // namespace safesail
