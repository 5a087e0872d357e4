// The stage that trains, as runs on a model and runs on files of activations record it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "stages/run_manifest.h"
#include "train/evaluate.h"
#include "train/grid.h"
#include "train/run_settings.h"

namespace safesail {

/// How fast each SAE was trained, where this run has trained it.
inline void add_training_rates(const GridResult& training, std::vector<CellResult>& cells) {
  for (CellResult& cell : cells)
    for (const CellTraining& trained : training.cells)
      if (trained.seconds > 0 && cell.id.path.ends_with("/" + trained.folder + "/sae.safetensors"))
        cell.training_rate = static_cast<double>(trained.tokens) / trained.seconds;
}

/// What training writes.
inline const std::vector<std::string> kTrainingWrites = {"sae", "checkpoints", "metrics.jsonl",
                                                         "sites.json"};

inline StageRecord training_record(const nlohmann::json& config, std::vector<std::string> inputs,
                                   const GridConfig& grid, const GridResult& result) {
  StageRecord record{.config = config,
                     .inputs = std::move(inputs),
                     .outputs = {"metrics.jsonl", "sites.json"},
                     .seed = grid.seed,
                     .tokens = result.tokens_trained,
                     .details = to_json(result)};
  for (std::size_t cell = 0; cell < grid.cells.size(); ++cell)
    if (result.cells[cell].stopped.empty())
      record.outputs.push_back("sae/" + grid.cells[cell].folder + "/sae.safetensors");
  return record;
}

}  // namespace safesail
