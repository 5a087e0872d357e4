#include "cli/results_table.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/units.h"
#include "cli/terminal.h"

namespace safesail {

std::string results_table(const std::vector<CellResult>& cells) {
  const bool has_losses = !cells.empty() && cells.front().loss.n_tokens > 0;
  std::vector<std::vector<std::string>> rows = {{"site", "k", "features", "L0", "FVU", "dead %"}};
  if (has_losses)
    rows[0].insert(rows[0].end(), {"CE clean", "CE + SAE", "delta CE", "recovered %"});
  for (const CellResult& cell : cells) {
    std::vector<std::string>& row = rows.emplace_back(
        std::vector<std::string>{cell.site, fmt::to_string(cell.k), fmt::to_string(cell.n_features),
                                 fmt::format("{:.1f}", cell.l0), fmt::format("{:.3f}", cell.fvu),
                                 fmt::format("{:.1f}", 100 * cell.dead_share)});
    if (has_losses)
      row.insert(row.end(),
                 {fmt::format("{:.3f}", cell.loss.clean), fmt::format("{:.3f}", cell.loss.spliced),
                  fmt::format("{:+.4f}", cell.loss.delta()),
                  fmt::format("{:.1f}", 100 * cell.loss.recovered())});
  }
  return format_table(rows);
}

std::string speed_line(const RunResult& result) {
  const double tokens = static_cast<double>(result.training.tokens_trained);
  return fmt::format(
      "{} tokens; model {} tokens/s, the {} SAEs together {} tokens/s; {} in all",
      human_count(tokens), human_count(tokens / std::max(result.training.source_seconds, 1e-9)),
      result.cells.size(), human_count(tokens / std::max(result.training.sae_seconds, 1e-9)),
      human_duration(result.total_seconds));
}

}  // namespace safesail
