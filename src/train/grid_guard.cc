#include "train/grid_guard.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/units.h"

namespace safesail {
namespace {

constexpr double kWindowShare = 0.05, kWave = 0.3;
constexpr std::ptrdiff_t kFewestBlocks = 3;

}  // namespace

std::string trouble(std::span<const TrainingRecord> history, const GuardConfig& config) {
  if (history.empty()) return {};
  const TrainingRecord& now = history.back();
  if (!std::isfinite(now.loss) || !std::isfinite(now.fvu))
    return fmt::format("the loss became {}", now.loss);

  const auto length =
      static_cast<std::uint64_t>(kWindowShare * static_cast<double>(config.n_tokens));
  // The window starts with the last record that is at least `length` old.
  const auto window = [&](std::uint64_t from) {
    const auto begin = std::find_if(history.begin(), history.end(),
                                    [&](const TrainingRecord& r) { return r.tokens > from; });
    auto first = history.end();
    for (auto r = begin; r != history.end() && r->tokens + length <= now.tokens; ++r) first = r;
    if (first == history.end() || history.end() - first < kFewestBlocks)
      return std::span<const TrainingRecord>();
    return std::span(first, history.end());
  };
  const std::string_view span = "all through the last 5 % of the budget";

  const auto recent = window(config.warmup_tokens);
  const auto all = [&](auto holds) {
    return !recent.empty() && std::ranges::all_of(recent, holds);
  };
  if (all([](const TrainingRecord& r) { return r.l0 == 0; }))
    return fmt::format("collapse: no feature was active {}", span);
  if (all([](const TrainingRecord& r) { return r.fvu > 1; }))
    return fmt::format("collapse: FVU above 1 {}, now {:.3g}", span, now.fvu);

  // What fell silent in the warm-up, while features still sort themselves, is counted until then.
  const auto counted = window(config.warmup_tokens + config.dead_after_tokens);
  if (!counted.empty() && now.dead_share - counted.front().dead_share > kWave)
    return fmt::format("a wave of dying features: dead share {:.0f} % at {} tokens, {:.0f} % at {}",
                       100 * counted.front().dead_share,
                       human_count(static_cast<double>(counted.front().tokens)),
                       100 * now.dead_share, human_count(static_cast<double>(now.tokens)));
  return {};
}

}  // namespace safesail
