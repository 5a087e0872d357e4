#include "train/checkpoints.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxStateBytes = std::uint64_t{1} << 30;
constexpr double kWorst = std::numeric_limits<double>::infinity();

fs::path folder_of(const fs::path& run) {
  return run / "checkpoints";
}

std::string cell_name(std::size_t cell) {
  return fmt::format("{:03}.safetensors", cell);
}

struct Checkpoint {
  std::uint64_t tokens;
  fs::path folder;
  bool operator<(const Checkpoint& other) const { return tokens < other.tokens; }
};

/// Complete checkpoints, oldest first: folders whose whole name is a number.
std::vector<Checkpoint> complete_checkpoints(const fs::path& run) {
  std::vector<Checkpoint> found;
  if (!fs::is_directory(folder_of(run))) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(run))) {
    const std::string name = entry.path().filename().string();
    std::uint64_t tokens = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), tokens);
    if (error == std::errc() && end == name.data() + name.size())
      found.push_back({tokens, entry.path()});
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// FVU of each cell in that checkpoint; infinity where there is none.
std::vector<double> scores_of(const Checkpoint& checkpoint) {
  std::vector<double> scores;
  const nlohmann::json found =
      nlohmann::json::parse(read_file(checkpoint.folder / "scores.json", 1 << 24), nullptr, false);
  if (found.is_array())
    for (const nlohmann::json& score : found)
      scores.push_back(score.is_number() ? score.get<double>() : kWorst);
  return scores;
}

double mean_score(const Checkpoint& checkpoint) {
  double sum = 0, n = 0;
  for (const double score : scores_of(checkpoint))
    if (std::isfinite(score)) sum += score, ++n;
  return n > 0 ? sum / n : kWorst;
}

void remove_older(const fs::path& run, std::size_t keep_last) {
  std::vector<Checkpoint> all = complete_checkpoints(run);
  if (all.size() <= keep_last) return;
  all.resize(all.size() - keep_last);
  const auto best = std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return mean_score(a) < mean_score(b);
  });
  // The newest may be better still, then there is nothing else worth keeping.
  const double newest = mean_score(complete_checkpoints(run).back());
  std::error_code ignored;  // an old checkpoint too many does no harm
  for (auto checkpoint = all.begin(); checkpoint != all.end(); ++checkpoint)
    if (checkpoint != best || newest <= mean_score(*best))
      fs::remove_all(checkpoint->folder, ignored);
}

nlohmann::json state_of(const GridProgress& progress, const std::string& config_hash) {
  nlohmann::json cells = nlohmann::json::array();
  for (const CellProgress& cell : progress.cells)
    cells.push_back({{"seconds", cell.seconds},
                     {"fvu", cell.fvu},
                     {"stopped", cell.stopped},
                     {"stopped_at", cell.stopped_at}});
  return {{"config_hash", config_hash},
          {"n_blocks", progress.n_blocks},
          {"tokens", progress.tokens},
          {"model_seconds", progress.model_seconds},
          {"waiting_seconds", progress.waiting_seconds},
          {"sae_seconds", progress.sae_seconds},
          {"norm_limits", progress.norm_limits},
          {"cells", cells},
          {"metrics", progress.metrics}};
}

}  // namespace

void save_checkpoint(const fs::path& run, const std::string& config_hash,
                     const GridProgress& progress, std::size_t keep_last) {
  const fs::path final_path = folder_of(run) / fmt::to_string(progress.tokens);
  const fs::path partial = final_path.string() + ".partial";
  fs::remove_all(partial);
  fs::create_directories(partial);
  nlohmann::json scores = nlohmann::json::array();
  for (std::size_t cell = 0; cell < progress.cells.size(); ++cell) {
    const CellProgress& state = progress.cells[cell];
    scores.push_back(state.trainer ? nlohmann::json(state.fvu) : nlohmann::json());
    if (state.trainer) state.trainer->save(partial / cell_name(cell));
  }
  write_file(partial / "scores.json", scores.dump());
  write_file(partial / "state.json", state_of(progress, config_hash).dump());
  std::error_code error;
  fs::remove_all(final_path, error);
  fs::rename(partial, final_path, error);
  if (error)
    failed(final_path.string(), fmt::format("cannot write the checkpoint: {}", error.message()),
           "check the disk");
  remove_older(run, keep_last);
}

std::optional<GridProgress> load_checkpoint(const fs::path& run, const std::string& config_hash,
                                            const std::vector<GridCell>& cells) {
  const std::vector<Checkpoint> found = complete_checkpoints(run);
  if (found.empty()) return std::nullopt;
  const fs::path& folder = found.back().folder;
  const std::string where = (folder / "state.json").string();
  const nlohmann::json state = parse_json(read_file(folder / "state.json", kMaxStateBytes), where,
                                          {.max_bytes = kMaxStateBytes});
  try {
    if (state.at("config_hash").get<std::string>() != config_hash ||
        state.at("cells").size() != cells.size())
      bad_input(where, "expected a checkpoint of this configuration, got one of another",
                "choose another --out, restore the old settings, or start over with --force");
    GridProgress progress{.n_blocks = state.at("n_blocks"),
                          .tokens = state.at("tokens"),
                          .model_seconds = state.at("model_seconds"),
                          .waiting_seconds = state.at("waiting_seconds"),
                          .sae_seconds = state.at("sae_seconds"),
                          .norm_limits = state.at("norm_limits"),
                          .metrics = state.at("metrics"),
                          .cells = {}};
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      const nlohmann::json& saved = state.at("cells").at(cell);
      CellProgress& into = progress.cells.emplace_back();
      into.seconds = saved.at("seconds");
      into.fvu = saved.at("fvu");
      into.stopped = saved.at("stopped");
      into.stopped_at = saved.at("stopped_at");
      if (into.stopped.empty())
        into.trainer = SaeTrainer::resume(folder / cell_name(cell), cells[cell].trainer);
    }
    return progress;
  } catch (const nlohmann::json::exception& error) {
    bad_input(where, fmt::format("not a checkpoint's state: {}", error.what()),
              "start over with --force");
  }
}

std::optional<CellCheckpoint> best_of_cell(const fs::path& run, const GridCell& cell,
                                           std::size_t index) {
  std::optional<Checkpoint> best;
  double lowest = kWorst;
  for (const Checkpoint& checkpoint : complete_checkpoints(run)) {
    const std::vector<double> scores = scores_of(checkpoint);
    if (index >= scores.size() || !(scores[index] < lowest)) continue;
    lowest = scores[index];
    best = checkpoint;
  }
  if (!best) return std::nullopt;
  return CellCheckpoint{best->tokens,
                        SaeTrainer::resume(best->folder / cell_name(index), cell.trainer)};
}

void remove_checkpoints(const fs::path& run) {
  fs::remove_all(folder_of(run));
}

}  // namespace safesail
