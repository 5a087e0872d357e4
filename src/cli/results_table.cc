#include "cli/results_table.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/units.h"
#include "cli/terminal.h"

namespace safesail {
namespace {

/// "0.234 ±0.002", with half the width of the interval.
std::string with_interval(const Estimate& estimate, int digits) {
  const std::string value = fmt::format("{:.{}f}", estimate.value, digits);
  if (!estimate.has_interval()) return value;
  return fmt::format("{} ±{:.{}f}", value, (estimate.high - estimate.low) / 2, digits);
}

}  // namespace

std::string results_table(const std::vector<CellResult>& cells) {
  const bool has_losses = !cells.empty() && cells.front().loss.n_tokens > 0;
  const bool has_seeds = std::ranges::any_of(
      cells, [&](const CellResult& cell) { return cell.id.seed != cells.front().id.seed; });
  std::vector<std::vector<std::string>> rows = {{"site", "arch", "k", "width"}};
  if (has_seeds) rows[0].emplace_back("#");
  rows[0].insert(rows[0].end(), {"L0", "FVU"});
  if (has_losses) rows[0].insert(rows[0].end(), {"delta CE", "KL", "rec%"});
  rows[0].emplace_back("dead%");
  const bool has_rates =
      std::ranges::any_of(cells, [](const CellResult& cell) { return cell.training_rate > 0; });
  if (has_rates) rows[0].emplace_back("tok/s");
  for (const CellResult& cell : cells) {
    std::vector<std::string>& row = rows.emplace_back(
        std::vector<std::string>{site_name(cell.id), cell.id.architecture,
                                 fmt::to_string(cell.id.k), fmt::to_string(cell.id.n_features)});
    if (has_seeds) row.push_back(fmt::to_string(cell.id.seed));
    row.push_back(fmt::format("{:.1f}", cell.l0.value));
    row.push_back(with_interval(cell.fvu, 3));
    if (has_losses) {
      row.push_back(with_interval(cell.loss.delta, 4));
      row.push_back(fmt::format("{:.3f}", cell.loss.kl.value));
      row.push_back(fmt::format("{:.1f}", 100 * cell.loss.recovered.value));
    }
    row.push_back(fmt::format("{:.1f}", 100 * cell.dead_share));
    if (has_rates) row.push_back(human_count(cell.training_rate));
  }
  return format_table(rows);
}

std::string speed_line(const RunResult& result) {
  const GridResult& training = result.training;
  const auto tokens = static_cast<double>(training.tokens_trained);
  std::string line = fmt::format("{} tokens; ", human_count(tokens));
  if (training.source_seconds > 0)
    line += fmt::format("model {} tokens/s, ", human_count(tokens / training.source_seconds));
  return line + fmt::format("the {} SAEs together {} tokens/s; {} in all", training.cells.size(),
                            human_count(tokens / std::max(training.sae_seconds, 1e-9)),
                            human_duration(result.total_seconds));
}

}  // namespace safesail
