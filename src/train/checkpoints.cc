#include "train/checkpoints.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <compare>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxStateBytes = std::uint64_t{1} << 30;
constexpr const char *kState = "state.json", *kScores = "scores.json", *kPartial = ".partial";
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

/// How good SAEs are: less is better. For one SAE `off_target` is 0 or 1, for many their share.
struct Score {
  double off_target = 1, fvu = kWorst;
  auto operator<=>(const Score&) const = default;
};

Score score_of(const SaeSpec& spec, const CellProgress& progress) {
  constexpr double kNear = 0.1;
  const auto target = static_cast<double>(spec.k);
  const bool on_target = spec.k == 0 || std::abs(progress.l0 - target) <= kNear * target;
  return {on_target ? 0. : 1., progress.fvu};
}

/// Of each cell in that checkpoint; the worst of all where it no longer trained.
std::vector<Score> scores_of(const Checkpoint& checkpoint) {
  std::vector<Score> scores;
  const fs::path file = checkpoint.folder / kScores;
  if (!fs::exists(file)) return scores;
  const nlohmann::json found = nlohmann::json::parse(read_file(file, 1 << 24), nullptr, false);
  if (!found.is_array()) return scores;
  for (const nlohmann::json& score : found) {
    const bool known = score.is_object() && score.value("fvu", nlohmann::json()).is_number() &&
                       score.value("off_target", nlohmann::json()).is_number();
    scores.push_back(known ? Score{score["off_target"], score["fvu"]} : Score{});
  }
  return scores;
}

Score mean_score(const Checkpoint& checkpoint) {
  Score sum{0, 0};
  double n = 0;
  for (const Score& score : scores_of(checkpoint)) {
    if (!std::isfinite(score.fvu)) continue;
    sum.off_target += score.off_target;
    sum.fvu += score.fvu;
    ++n;
  }
  return n > 0 ? Score{sum.off_target / n, sum.fvu / n} : Score{};
}

void remove_older(const fs::path& run, std::size_t keep_last) {
  std::vector<Checkpoint> all = complete_checkpoints(run);
  if (all.size() <= keep_last) return;
  // The newest may be better still, then there is nothing else worth keeping.
  const Score newest = mean_score(all.back());
  all.resize(all.size() - keep_last);
  const auto best = std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return mean_score(a) < mean_score(b);
  });
  const Score lowest = mean_score(*best);
  for (auto checkpoint = all.begin(); checkpoint != all.end(); ++checkpoint) {
    if (checkpoint == best && lowest < newest) continue;
    try {
      remove_whole(checkpoint->folder);
    } catch (const Error&) {
      // An old checkpoint too many does no harm; to end a long training for it would.
    }
  }
}

nlohmann::json state_of(const GridProgress& progress, const std::string& config_hash) {
  nlohmann::json cells = nlohmann::json::array();
  for (const CellProgress& cell : progress.cells)
    cells.push_back({{"seconds", cell.seconds},
                     {"fvu", cell.fvu},
                     {"l0", cell.l0},
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

GridProgress progress_of(const nlohmann::json& state, const fs::path& folder,
                         const std::vector<GridCell>& cells) {
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
    into.l0 = saved.at("l0");
    into.stopped = saved.at("stopped");
    into.stopped_at = saved.at("stopped_at");
    if (into.stopped.empty())
      into.trainer = SaeTrainer::resume(folder / cell_name(cell), cells[cell].trainer);
  }
  return progress;
}

/// Nothing when the checkpoint is one of another configuration.
std::optional<GridProgress> read_checkpoint(const fs::path& folder, const std::string& config_hash,
                                            const std::vector<GridCell>& cells) {
  const std::string where = (folder / kState).string();
  const nlohmann::json state =
      parse_json(read_file(folder / kState, kMaxStateBytes), where, {.max_bytes = kMaxStateBytes});
  try {
    if (state.at("config_hash").get<std::string>() != config_hash ||
        state.at("cells").size() != cells.size())
      return std::nullopt;
    return progress_of(state, folder, cells);
  } catch (const nlohmann::json::exception& error) {
    bad_input(where, fmt::format("not a checkpoint's state: {}", error.what()),
              "start over with --force");
  }
}

/// What a kill left half written or half removed: of checkpoints, which are large.
void remove_leftovers(const fs::path& run) {
  if (!fs::is_directory(folder_of(run))) return;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(run)))
    if (entry.path().extension() == kPartial || entry.path().extension() == kRemoved)
      leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) fs::remove_all(leftover);
}

/// So that nothing takes it for a checkpoint any more.
void set_aside(const fs::path& folder) {
  const fs::path aside = folder.string() + ".unreadable";
  std::error_code ignored;  // then the next start will come here again
  fs::remove_all(aside, ignored);
  fs::rename(folder, aside, ignored);
}

}  // namespace

void save_checkpoint(const fs::path& run, const std::string& config_hash,
                     const std::vector<GridCell>& cells, const GridProgress& progress,
                     std::size_t keep_last) {
  const fs::path final_path = folder_of(run) / fmt::to_string(progress.tokens);
  const fs::path partial = final_path.string() + kPartial;
  fs::remove_all(partial);
  fs::create_directories(partial);
  nlohmann::json scores = nlohmann::json::array();
  for (std::size_t cell = 0; cell < progress.cells.size(); ++cell) {
    const CellProgress& state = progress.cells[cell];
    if (!state.trainer) {
      scores.emplace_back();
      continue;
    }
    const Score score = score_of(cells[cell].spec, state);
    scores.push_back({{"off_target", score.off_target}, {"fvu", score.fvu}});
    state.trainer->save(partial / cell_name(cell));
  }
  write_file(partial / kScores, dump_json(scores));
  write_file(partial / kState, dump_json(state_of(progress, config_hash)));
  remove_whole(final_path);
  std::error_code error;
  fs::rename(partial, final_path, error);
  if (error)
    failed(final_path.string(), fmt::format("cannot write the checkpoint: {}", error.message()),
           "check the disk");
  remove_older(run, keep_last);
}

std::optional<GridProgress> load_checkpoint(const fs::path& run, const std::string& config_hash,
                                            const std::vector<GridCell>& cells,
                                            Reporter& reporter) {
  remove_leftovers(run);
  const std::vector<Checkpoint> found = complete_checkpoints(run);
  std::optional<Error> problem;  // of the newest
  for (auto checkpoint = found.rbegin(); checkpoint != found.rend(); ++checkpoint) {
    std::optional<GridProgress> progress;
    try {
      progress = read_checkpoint(checkpoint->folder, config_hash, cells);
    } catch (const Error& error) {
      if (error.fault() != Fault::input) throw;
      if (!problem) problem = error;
      if (checkpoint + 1 != found.rend())
        reporter.warn(
            fmt::format("the checkpoint at {} tokens cannot be read, trying the one "
                        "before: {}",
                        checkpoint->tokens, error.what()));
      continue;
    }
    if (!progress)
      bad_input((checkpoint->folder / kState).string(),
                "expected a checkpoint of this configuration, got one of another",
                "choose another --out, restore the old settings, or start over with --force");
    for (auto newer = found.rbegin(); newer != checkpoint; ++newer) set_aside(newer->folder);
    return progress;
  }
  if (problem) throw Error(*problem);
  return std::nullopt;
}

std::optional<CellCheckpoint> best_of_cell(const fs::path& run, const GridCell& cell,
                                           std::size_t index) {
  std::optional<Checkpoint> best;
  Score lowest;
  for (const Checkpoint& checkpoint : complete_checkpoints(run)) {
    const std::vector<Score> scores = scores_of(checkpoint);
    if (index >= scores.size() || !(scores[index] < lowest)) continue;
    lowest = scores[index];
    best = checkpoint;
  }
  if (!best) return std::nullopt;
  return CellCheckpoint{best->tokens,
                        SaeTrainer::resume(best->folder / cell_name(index), cell.trainer)};
}

void remove_checkpoints(const fs::path& run) {
  remove_whole(folder_of(run));
}

}  // namespace safesail
