#include "run/compare.h"

#include <algorithm>
#include <fmt/format.h>

#include "formats/json.h"

namespace safesail {
namespace {

/// As the score stage wrote it.
ArmScore arm_score_of(const Score& score) {
  const Json json = parse_json(score.details, "score details");
  const JsonObject details(json, "score details");
  ArmScore arm{.score = details.find<double>("counted"),
               .n_answered = static_cast<std::uint64_t>(std::max<std::int64_t>(
                   0, score.n_windows - score.n_unparsable - score.n_refused - score.n_failed)),
               .cost = {}};
  if (const auto cost = details.find_object("cost")) {
    const auto count = [&](const char* name) {
      return static_cast<std::uint64_t>(
          std::max<std::int64_t>(0, cost->get_or<std::int64_t>(name, 0)));
    };
    arm.cost = {.n_requests = count("requests"),
                .usage = {.prompt = count("prompt_tokens"),
                          .cached = count("cached_tokens"),
                          .completion = count("completion_tokens"),
                          .reasoning = count("reasoning_tokens")},
                .money = cost->get_or<double>("money", 0)};
  }
  return arm;
}

}  // namespace

ScorerComparison compare_scores(const Simulator& simulator, const ScoreConfig& config,
                                const std::string& currency, Atlas& atlas) {
  std::vector<ScoredExplanation> explanations;
  for (const std::int64_t id : atlas.explanations(config.which)) {
    ScoredExplanation scored;
    for (const Score& score : atlas.scores(id))
      for (const Scorer scorer : kComparedScorers) {
        ScoreKey key = score_key(simulator, scorer, config);
        key.batch = score.key.batch;
        key.questions = score.key.questions;
        if (!(score.key == key)) continue;
        const Arm arm{scorer, score.key.batch};
        // Of the windows that the feature had at other times the newest count.
        std::erase_if(scored.arms, [&](const auto& older) { return older.first == arm; });
        scored.arms.emplace_back(arm, arm_score_of(score));
      }
    if (scored.arms.empty()) continue;
    const FeatureRecord record = atlas.record(atlas.feature_of_explanation(id));
    scored.feature = fmt::format("{}:{}", record.sae, record.feature);
    explanations.push_back(std::move(scored));
  }
  return compare_scorers(explanations, simulator.name(), currency, 1000, config.options.seed);
}

}  // namespace safesail
