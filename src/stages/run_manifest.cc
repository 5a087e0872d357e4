#include "stages/run_manifest.h"

#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/version.h"
#include "formats/json.h"

namespace safesail {
namespace {

using nlohmann::json;

/// The settings whose values differ, for the message.
std::string differences(const json& before, const json& now) {
  std::string text;
  for (const auto& [key, value] : now.items())
    if (!before.contains(key) || before.at(key) != value)
      text += fmt::format("{}{} {} instead of {}", text.empty() ? "" : ", ", key, dump_json(value),
                          before.contains(key) ? dump_json(before.at(key)) : "nothing");
  return text.empty() ? "other settings" : text;
}

}  // namespace

RunManifest::RunManifest(fs::path run) : run_(std::move(run)) {
  const fs::path path = run_ / "manifest.json";
  if (!fs::exists(path)) return;
  const json found = read_json(path);
  if (!found.is_object() || !found.contains("stages") || !found.at("stages").is_object())
    bad_input(path.string(), "expected a manifest with stages, got something else",
              "choose another folder, or start over with --force");
  stages_ = found.at("stages");
  for (const auto& [name, stage] : stages_.items())
    if (!stage.is_object() || !stage.contains("config") || !stage.contains("config_hash") ||
        !stage.contains("outputs") || !stage.at("outputs").is_array())
      bad_input(path.string(), fmt::format("expected a record of stage {}", printable(name)),
                "start over with --force");
}

bool RunManifest::finished(const std::string& stage, const json& config) const {
  if (!stages_.contains(stage)) return false;
  const json& found = stages_.at(stage);
  if (found.at("config_hash") != hash_of(config))
    bad_input((run_ / "manifest.json").string(),
              fmt::format("stage {} is done with another configuration: {}", stage,
                          differences(found.at("config"), config)),
              "restore the settings, choose another folder, or repeat it with --force");
  for (const json& output : found.at("outputs"))
    if (!output.is_string() || !fs::exists(run_ / output.get<std::string>())) return false;
  return true;
}

json RunManifest::config(const std::string& stage) const {
  return stages_.contains(stage) ? stages_.at(stage).at("config") : json();
}

json RunManifest::details(const std::string& stage) const {
  return stages_.contains(stage) && stages_.at(stage).contains("details")
             ? stages_.at(stage).at("details")
             : json();
}

void RunManifest::record(const std::string& stage, const StageRecord& record) {
  stages_[stage] = {{"config", record.config},
                    {"config_hash", hash_of(record.config)},
                    {"inputs", record.inputs},
                    {"outputs", record.outputs},
                    {"seed", record.seed},
                    {"version", kVersion},
                    {"tokens", record.tokens},
                    {"seconds", record.seconds},
                    {"directory", fs::current_path().string()},
                    {"details", record.details}};
  write();
}

void RunManifest::forget(const std::string& stage) {
  if (stages_.erase(stage) > 0) write();
}

void RunManifest::write() const {
  write_file(run_ / "manifest.json", dump_json(json{{"stages", stages_}}, {.indent = 2}) + "\n");
}

std::optional<fs::path> model_of_run(const fs::path& run) {
  const json manifest = read_json(run / "manifest.json");
  for (const std::string stage : {"train", "select"}) {
    const json::json_pointer record("/stages/" + stage);
    const auto text = [&](const char* key) {
      const json::json_pointer at = record / json::json_pointer(key);
      return manifest.contains(at) && manifest.at(at).is_string()
                 ? manifest.at(at).get<std::string>()
                 : std::string();
    };
    const fs::path model = text("/config/model");
    if (model.empty()) continue;
    const fs::path from_there = fs::path(text("/directory")) / model;
    return fs::exists(from_there) ? from_there : model;
  }
  return std::nullopt;
}

std::string hash_of(const json& config) {
  return hash_hex(dump_json(config));
}

}  // namespace safesail
