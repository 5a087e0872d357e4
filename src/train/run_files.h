// Phase 1 on activations that are already there: a grid of SAEs from files, no model.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "train/run.h"

namespace safesail {

struct FileRunConfig {
  fs::path activations;  ///< a safetensors file, or a folder of them
  /// Of the rows, at their end: kept for evaluation. (Files do not tell documents apart.)
  double held_out_share = 0.05;
  GridLists lists;  ///< its sites and transcoders name tensors [N, d]
  GridConfig grid;  ///< n_tokens 0 or too many: all rows that are not held out
  fs::path out;
};

/// The run folder, the resume and `force` are those of run_stages; the results have no losses, and
/// transcoders have none.
RunResult run_on_activations(FileRunConfig config, const std::optional<std::string>& force,
                             Reporter& reporter, std::stop_token stop);

}  // namespace safesail
