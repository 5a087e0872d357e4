#include "run/compare.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "formats/json.h"

namespace safesail {
namespace {

/// What the score counts in means (ScoreResult::counted), as the score stage wrote it.
std::optional<double> counted(const Score& score) {
  const Json details = parse_json(score.details, "score details");
  return JsonObject(details, "score details").find<double>("counted");
}

std::array<ScorerCost, 4> costs_of(const std::string& simulator, Atlas& atlas) {
  std::array<ScorerCost, 4> costs;
  for (const Spending& spent : atlas.spending())
    for (const Scorer scorer : kComparedScorers) {
      if (spent.model != simulator || spent.purpose != fmt::format("score.{}", to_string(scorer)))
        continue;
      ScorerCost& cost = costs[static_cast<std::size_t>(scorer)];
      cost.n_requests += static_cast<std::uint64_t>(spent.requests);
      cost.usage += {.prompt = static_cast<std::uint64_t>(spent.prompt_tokens),
                     .cached = static_cast<std::uint64_t>(spent.cached_tokens),
                     .completion = static_cast<std::uint64_t>(spent.completion_tokens)};
      cost.money += spent.money;
    }
  return costs;
}

}  // namespace

ScorerComparison compare_scores(const std::string& simulator, const ExplanationFilter& which,
                                const std::string& currency, Atlas& atlas, std::uint64_t seed) {
  std::vector<ScoredFeature> features;
  for (const std::int64_t id : atlas.explanations(which)) {
    ScoredFeature scored;
    for (const Score& score : atlas.scores(id))
      for (const Scorer scorer : kComparedScorers)
        if (score.key.simulator == simulator && score.key.scorer == to_string(scorer))
          scored.score[static_cast<std::size_t>(scorer)] = counted(score);
    const bool has_any = std::ranges::any_of(
        scored.score, [](const std::optional<double>& score) { return score.has_value(); });
    if (!has_any) continue;
    const FeatureRecord record = atlas.record(atlas.feature_of_explanation(id));
    scored.feature = feature_name(record.site, record.feature);
    features.push_back(std::move(scored));
  }
  return compare_scorers(features, costs_of(simulator, atlas), simulator, currency, 1000, seed);
}

}  // namespace safesail
