#include "stages/stages.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.h"
#include "base/error.h"

namespace safesail {
namespace {

/// The stage named and those after it are forgotten, with what they wrote.
void forget_from(const std::string& first, const std::vector<Stage>& stages, const fs::path& out,
                 RunManifest& manifest) {
  const auto forced = std::ranges::find(stages, first, &Stage::name);
  if (forced == stages.end()) {
    std::vector<std::string> names;
    for (const Stage& stage : stages) names.push_back(stage.name);
    bad_input("--force", fmt::format("there is no stage \"{}\"", first),
              fmt::format("name one of {}", fmt::join(names, ", ")));
  }
  for (auto stage = forced; stage != stages.end(); ++stage) {
    manifest.forget(stage->name);
    // Only what a stage of ours writes; whatever else lies in the folder is not ours to remove.
    for (const std::string& name : stage->writes) remove_whole(out / name);
  }
}

}  // namespace

void record_stage(RunManifest& manifest, const std::string& name,
                  const std::function<StageRecord()>& run) {
  const Clock::time_point start = Clock::now();
  StageRecord record = run();
  record.seconds = seconds_since(start);
  manifest.record(name, record);
}

void do_stages(const std::vector<Stage>& stages, const fs::path& out,
               const std::optional<std::string>& force, Reporter& reporter) {
  RunManifest manifest(out);
  if (force) forget_from(*force, stages, out, manifest);
  for (const Stage& stage : stages) {
    if (manifest.finished(stage.name, stage.config)) {
      reporter.note(fmt::format("{}: done already", stage.name));
      if (stage.recall) stage.recall(manifest.details(stage.name));
    } else {
      record_stage(manifest, stage.name, stage.run);
    }
    if (stage.clean_up) stage.clean_up();
  }
}

}  // namespace safesail
