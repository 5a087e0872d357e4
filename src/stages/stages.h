// The stages of a run, done in order where they are missing: what both phases, and runs on files of
// activations, have in common. One process at a time.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "stages/run_manifest.h"

namespace safesail {

/// A stage may use what those before it have made.
struct Stage {
  std::string name;
  nlohmann::json config;  ///< all that decides its result
  std::function<StageRecord()> run;
  std::vector<std::string> writes;  ///< in the run folder; removed when the stage is forced
  /// Takes up the details of a record made by an earlier start, where later stages need them.
  std::function<void(const nlohmann::json& details)> recall = {};
  /// Removes what the stage no longer needs once it is recorded; called again at later starts, for
  /// a kill may have come in between.
  std::function<void()> clean_up = {};
};

/// Does a stage and records it, with the seconds that it took, whatever was recorded before.
void record_stage(RunManifest& manifest, const std::string& name,
                  const std::function<StageRecord()>& run);

/// Does the stages that `<out>/manifest.json` does not have yet; `force` names the first of those
/// that are done in any case.
void do_stages(const std::vector<Stage>& stages, const fs::path& out,
               const std::optional<std::string>& force, Reporter& reporter);

}  // namespace safesail
