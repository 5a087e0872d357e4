// `manifest.json` of a run: what each stage was made from and how, so that a finished stage is not
// done again and no number is without its origin. One process at a time.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace safesail {

struct StageRecord {
  nlohmann::json config;  ///< everything that decides the stage's result
  std::vector<std::string> inputs, outputs;
  std::uint64_t seed = 0, tokens = 0;
  double seconds = 0;
  nlohmann::json details;  ///< of the stage's own kind; may be null
};

class RunManifest {
 public:
  /// Reads `<run>/manifest.json` if it is there.
  explicit RunManifest(fs::path run);

  /// Whether the stage was finished with this configuration. With another one: an input error that
  /// names --force, because a stage's result is never thrown away unasked.
  bool finished(const std::string& stage, const nlohmann::json& config) const;
  /// What a recorded stage was made with; null where there is no record.
  nlohmann::json config(const std::string& stage) const;
  /// Of a finished stage; null where there are none.
  nlohmann::json details(const std::string& stage) const;

  /// Each writes the file.
  void record(const std::string& stage, const StageRecord& record);
  void forget(const std::string& stage);

 private:
  void write() const;

  const fs::path run_;
  nlohmann::json stages_ = nlohmann::json::object();
};

/// The model that the run was made with, as its stages name it; nothing where none does. A relative
/// path is one from the folder in which the stage was started, wherever this process runs.
std::optional<fs::path> model_of_run(const fs::path& run);

/// The name of a configuration: a hash of its JSON text.
std::string hash_of(const nlohmann::json& config);

}  // namespace safesail
