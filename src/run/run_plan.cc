#include "run/run_plan.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, 2> kPhase1 = {"train", "evaluate"};
constexpr std::array<std::string_view, 4> kPhase2 = {"select", "exemplars", "explain", "score"};

}  // namespace

PlanResult run_plan(const RunPlan& plan, const std::optional<std::string>& force,
                    Reporter& reporter, std::stop_token stop) {
  const bool in_phase1 = force && std::ranges::find(kPhase1, *force) != kPhase1.end();
  const bool in_phase2 = force && std::ranges::find(kPhase2, *force) != kPhase2.end();
  if (force && !in_phase1 && !in_phase2)
    bad_input(
        "--force", fmt::format("there is no stage \"{}\"", *force),
        fmt::format("name one of {}, {}", fmt::join(kPhase1, ", "), fmt::join(kPhase2, ", ")));
  PlanResult result{
      .phase1 = run_stages(plan.phase1, in_phase1 ? force : std::nullopt, reporter, stop),
      .phase2 = {}};
  if (plan.phase2.pairs.empty()) return result;
  Phase2Config phase2 = plan.phase2;
  phase2.model = plan.phase1.model;
  phase2.load = plan.phase1.load;
  phase2.out = plan.phase1.out;
  // What was selected from SAEs that are no more means nothing.
  const std::optional<std::string> first = force == "train" ? std::optional<std::string>("select")
                                           : in_phase2      ? force
                                                            : std::nullopt;
  result.phase2 = run_phase2(phase2, first, reporter, std::move(stop));
  return result;
}

}  // namespace safesail
