// The stages of a run, done in order where they are missing: what runs on a model and runs on files
// of activations have in common.
#pragma once

#include <chrono>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/report.h"
#include "train/checkpoints.h"
#include "train/evaluate.h"
#include "train/grid.h"
#include "train/run_manifest.h"
#include "train/run_settings.h"

namespace safesail {

/// A stage may use what those before it have made. `Run` is what they share.
template <class Run>
struct Stage {
  std::string name;
  nlohmann::json config;  ///< all that decides its result
  StageRecord (*run)(Run&);
  std::vector<std::string> writes;  ///< in the run folder; removed when the stage is forced
  /// Takes up the details of a record made by an earlier start, where later stages need them.
  void (*recall)(Run&, const nlohmann::json& details) = nullptr;
};

/// Of the stage that trains.
template <class Run>
void recall_training(Run& run, const nlohmann::json& details) {
  run.result.training = grid_result(details);
}

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

/// Does the stages that `<out>/manifest.json` does not have yet; `force` names the first of those
/// that are done in any case.
template <class Run>
void do_stages(const std::vector<Stage<Run>>& stages, Run& run, const fs::path& out,
               const std::optional<std::string>& force, Reporter& reporter) {
  RunManifest manifest(out);
  if (force) {
    std::vector<std::string> names;
    for (const Stage<Run>& stage : stages) names.push_back(stage.name);
    const auto first = std::find(names.begin(), names.end(), *force);
    if (first == names.end())
      bad_input("--force", fmt::format("there is no stage \"{}\"", *force),
                fmt::format("name one of {}", fmt::join(names, ", ")));
    for (auto i = static_cast<std::size_t>(first - names.begin()); i < stages.size(); ++i) {
      manifest.forget(stages[i].name);
      // Only what a stage of ours writes; whatever else lies in the folder is not ours to remove.
      for (const std::string& name : stages[i].writes) remove_whole(out / name);
    }
  }
  for (const Stage<Run>& stage : stages) {
    if (manifest.finished(stage.name, stage.config)) {
      reporter.note(fmt::format("{}: done already", stage.name));
      if (stage.recall != nullptr) stage.recall(run, manifest.details(stage.name));
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    StageRecord record = stage.run(run);
    record.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    manifest.record(stage.name, record);
    remove_checkpoints(out);
  }
}

}  // namespace safesail
