#include "train/checkpoints.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxStateBytes = std::uint64_t{1} << 30;

fs::path folder_of(const fs::path& run) {
  return run / "checkpoints";
}

std::string cell_name(std::size_t cell) {
  return fmt::format("{:03}.safetensors", cell);
}

/// Complete checkpoints, oldest first: folders whose whole name is a number.
std::vector<std::pair<std::uint64_t, fs::path>> complete_checkpoints(const fs::path& run) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  if (!fs::is_directory(folder_of(run))) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(run))) {
    const std::string name = entry.path().filename().string();
    std::uint64_t tokens = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), tokens);
    if (error == std::errc() && end == name.data() + name.size())
      found.emplace_back(tokens, entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

void save_checkpoint(const fs::path& run, const std::string& config_hash,
                     const GridProgress& progress, const std::vector<SaeTrainer>& trainers) {
  const fs::path final_path = folder_of(run) / fmt::to_string(progress.tokens);
  const fs::path partial = final_path.string() + ".partial";
  fs::remove_all(partial);
  fs::create_directories(partial);
  for (std::size_t cell = 0; cell < trainers.size(); ++cell)
    trainers[cell].save(partial / cell_name(cell));
  write_file(partial / "state.json", nlohmann::json{{"config_hash", config_hash},
                                                    {"cursor", progress.cursor},
                                                    {"n_blocks", progress.n_blocks},
                                                    {"tokens", progress.tokens},
                                                    {"source_seconds", progress.source_seconds},
                                                    {"sae_seconds", progress.sae_seconds},
                                                    {"n_trainers", trainers.size()},
                                                    {"metrics", progress.metrics}}
                                         .dump());
  const auto older = complete_checkpoints(run);
  std::error_code error;
  fs::remove_all(final_path);
  fs::rename(partial, final_path, error);
  if (error)
    failed(final_path.string(), "cannot rename the checkpoint into place: " + error.message(),
           "check the folder's permissions");
  for (const auto& [tokens, path] : older)
    if (path != final_path) fs::remove_all(path);
}

std::optional<GridProgress> load_checkpoint(const fs::path& run, const std::string& config_hash,
                                            const TrainerOptions& options, std::size_t n_trainers,
                                            std::vector<SaeTrainer>& trainers) {
  const auto found = complete_checkpoints(run);
  if (found.empty()) return std::nullopt;
  const fs::path& folder = found.back().second;
  const std::string where = (folder / "state.json").string();
  const nlohmann::json state = parse_json(read_file(folder / "state.json", kMaxStateBytes), where);
  try {
    if (state.at("config_hash").get<std::string>() != config_hash ||
        state.at("n_trainers").get<std::size_t>() != n_trainers)
      bad_input(where, "expected a checkpoint of this configuration, got one of another",
                "choose another --out, restore the old settings, or start over with --force");
    GridProgress progress{.cursor = state.at("cursor"),
                          .n_blocks = state.at("n_blocks"),
                          .tokens = state.at("tokens"),
                          .source_seconds = state.at("source_seconds"),
                          .sae_seconds = state.at("sae_seconds"),
                          .metrics = state.at("metrics")};
    trainers.clear();
    for (std::size_t cell = 0; cell < n_trainers; ++cell)
      trainers.push_back(SaeTrainer::resume(folder / cell_name(cell), options));
    return progress;
  } catch (const nlohmann::json::exception& error) {
    bad_input(where, fmt::format("not a checkpoint's state: {}", error.what()),
              "start over with --force");
  }
}

void remove_checkpoints(const fs::path& run) {
  fs::remove_all(folder_of(run));
}

}  // namespace safesail
