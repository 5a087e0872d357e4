#include "run/score.h"

#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace safesail {
namespace {

using nlohmann::json;

/// An explanation that may serve as another one's floor.
struct Target {
  std::int64_t feature = 0;
  double density = 0;
  ExplanationText text;
};

ExplanationText text_of(const Explanation& explanation) {
  const bool both = !explanation.short_text.empty() && !explanation.long_text.empty();
  return {explanation.short_text + (both ? ". " : "") + explanation.long_text, explanation.lexicon};
}

std::map<std::int64_t, Target> targets_of(Atlas& atlas, const ExplanationFilter& which) {
  std::map<std::int64_t, Target> targets;
  for (const std::int64_t id : atlas.explanations(which)) {
    const std::int64_t feature = atlas.feature_of_explanation(id);
    const FeatureRecord record = atlas.record(feature);
    Target& target = targets[id] = {feature, record.density(), text_of(atlas.explanation(id))};
    target.text.feature = feature_name(record.sae, record.feature);
  }
  return targets;
}

/// Whose explanation is the floor of whose.
std::map<std::int64_t, std::int64_t> floors_of(const std::map<std::int64_t, Target>& targets) {
  std::vector<std::int64_t> ids;
  std::vector<double> densities;
  for (const auto& [id, target] : targets) {
    ids.push_back(id);
    densities.push_back(target.density);
  }
  const std::vector<std::size_t> partners = floor_partners(densities);
  std::map<std::int64_t, std::int64_t> floors;
  for (std::size_t i = 0; i < ids.size(); ++i) floors[ids[i]] = ids[partners[i]];
  return floors;
}

ScoreKey key_of(const Simulator& simulator, Scorer scorer, const ScoreConfig& config) {
  return {.scorer = std::string(to_string(scorer)),
          .simulator = simulator.name(),
          .prompt_hash = simulator.prompt_hash(scorer),
          .seed = config.options.seed};
}

json to_json(const Estimate& estimate) {
  return {{"value", estimate.value}, {"interval", {estimate.low, estimate.high}}};
}

Score row_of(const ScoreResult& result, const ScoreKey& key) {
  const auto n = [&](AnswerStatus status) {
    return static_cast<std::int64_t>(result.n_answers[static_cast<std::size_t>(status)]);
  };
  json details{{"status", to_string(result.status)}, {"auroc", to_json(result.auroc)},
               {"floor", to_json(result.floor)},     {"n_documents", result.n_documents},
               {"n_shared", result.n_shared},        {"share_answered", result.share_answered()}};
  if (!result.reason.empty()) details["reason"] = result.reason;
  if (const std::optional<double> counted = result.counted()) details["counted"] = *counted;
  Score row{.key = key,
            .value = result.value.value,
            .low = result.value.low,
            .high = result.value.high,
            .floor = result.floor.value,
            .n_windows = static_cast<std::int64_t>(result.n_asked),
            .n_units = static_cast<std::int64_t>(result.n_units),
            .n_unparsable = n(AnswerStatus::unparsable),
            .n_refused = n(AnswerStatus::refused),
            .n_failed = n(AnswerStatus::failed),
            .details = details.dump()};
  for (const SimulatedWindow& window : result.windows)
    if (!window.predicted.empty())
      row.simulations.push_back({.exemplar = window.exemplar, .values = window.predicted});
  return row;
}

/// Explanations still to be scored.
std::vector<std::int64_t> lacking_scores(const Simulator& simulator, Scorer scorer,
                                         const ScoreConfig& config, Atlas& atlas) {
  std::vector<std::int64_t> lacking =
      atlas.explanations_lacking(key_of(simulator, scorer, config), config.which);
  if (config.n_most > 0 && lacking.size() > config.n_most) lacking.resize(config.n_most);
  return lacking;
}

}  // namespace

CostEstimate estimate_scoring(LlmSimulator& simulator, const ScoreConfig& config, Atlas& atlas) {
  CostEstimate estimate;
  const std::map<std::int64_t, Target> targets = targets_of(atlas, config.which);
  const std::map<std::int64_t, std::int64_t> floors = floors_of(targets);
  for (const Scorer scorer : config.scorers)
    for (const std::int64_t id : lacking_scores(simulator, scorer, config, atlas)) {
      const QuestionSet set =
          build_questions(atlas.record(targets.at(id).feature), scorer, config.questions);
      if (!set.insufficient.empty()) continue;
      estimate += simulator.estimate(scorer, targets.at(id).text, set.questions);
      if (floors.at(id) != id)
        estimate += simulator.estimate(scorer, targets.at(floors.at(id)).text, set.questions);
    }
  return estimate;
}

ScoreCounts score_explanations(Simulator& simulator, const ScoreConfig& config, Atlas& atlas,
                               Reporter& reporter, std::stop_token stop) {
  const std::map<std::int64_t, Target> targets = targets_of(atlas, config.which);
  const std::map<std::int64_t, std::int64_t> floors = floors_of(targets);
  ScoreCounts counts;
  for (const Scorer scorer : config.scorers) {
    const ScoreKey key = key_of(simulator, scorer, config);
    const std::vector<std::int64_t> lacking = lacking_scores(simulator, scorer, config, atlas);
    const std::string stage = fmt::format("score {}", to_string(scorer));
    for (std::size_t i = 0; i < lacking.size(); ++i) {
      if (stop.stop_requested())
        failed("score", fmt::format("stopped after {} of {}", i, lacking.size()),
               "run the same command again; what is there stays");
      const Target& target = targets.at(lacking[i]);
      const std::int64_t floor = floors.at(lacking[i]);
      const ScoreResult result = score(
          simulator, build_questions(atlas.record(target.feature), scorer, config.questions),
          target.text, floor == lacking[i] ? nullptr : &targets.at(floor).text, config.options);
      atlas.put_score(lacking[i], row_of(result, key));
      ++(result.status == ScoreStatus::ok ? counts.n_scored : counts.n_without);
      reporter.progress(stage, i + 1, lacking.size(), "explanations", "");
    }
  }
  return counts;
}

}  // namespace safesail
