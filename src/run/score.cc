#include "run/score.h"

#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "formats/json.h"
#include "interpret/lexical_explainer.h"
#include "interpret/lexical_simulator.h"

namespace safesail {
namespace {

using nlohmann::json;

/// Whose explanations are the floor of whose: of features next by density, by the same explainer in
/// the same language, whatever else is scored now.
class Floors {
 public:
  Floors(Atlas& atlas, std::size_t n_partners) : atlas_(atlas), n_partners_(n_partners) {}

  const std::vector<std::int64_t>& of(std::int64_t explanation) {
    if (!partners_.contains(explanation)) find_for_all_like(atlas_.explanation(explanation).key);
    return partners_.at(explanation);
  }

 private:
  void find_for_all_like(const ExplanationKey& key) {
    std::vector<std::int64_t> ids;
    std::vector<double> densities;
    for (const std::int64_t id : atlas_.explanations({.explainer = key.explainer,
                                 .model = key.model,
                                 .language = key.language,
                                 .prompt_hash = key.prompt_hash,
                                 .seed = key.seed,
                                 .sae = {}})) {
      if (!(atlas_.explanation(id).key == key)) continue;  // an empty part of a filter admits all
      ids.push_back(id);
      const double density = atlas_.density(atlas_.feature_of_explanation(id));
      densities.push_back(std::isnan(density) ? 0 : density);
    }
    const auto partners = floor_partners(densities, n_partners_);
    for (std::size_t i = 0; i < ids.size(); ++i)
      for (std::vector<std::int64_t>& own = partners_[ids[i]];
           const std::size_t other : partners[i])
        own.push_back(ids[other]);
  }

  Atlas& atlas_;
  const std::size_t n_partners_;
  std::map<std::int64_t, std::vector<std::int64_t>> partners_;
};

/// An explanation with its questions.
struct Task {
  std::int64_t explanation = 0;
  ScoreKey key;
  QuestionSet questions;
  ExplanationText text;
  Beside beside;
};

bool is_wanted_again(const Score& score) {
  const json details = json::parse(score.details, nullptr, false);
  const std::string status = details.is_object() ? details.value("status", "") : "";
  return score.n_failed > 0 || status == to_string(ScoreStatus::insufficient) ||
         status == to_string(ScoreStatus::unanswered);
}

ExplanationText text_of(const Explanation& explanation, const std::string& feature) {
  return explanation_for_simulator(explanation.short_text, explanation.long_text, feature,
                                   explanation.lexicon);
}

/// Calls `visit` with each explanation that is to be scored by `scorer` now, and how many of all
/// have been looked at.
void for_each_task(Simulator& simulator, Scorer scorer, const ScoreConfig& config, Floors& floors,
                   LexicalSimulator& lexical, Atlas& atlas,
                   const std::function<void(Task&, std::size_t, std::size_t)>& visit) {
  const std::vector<std::int64_t> all = atlas.explanations(config.which);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (config.n_first > 0 && i == config.n_first) return;
    const FeatureRecord record = atlas.record(atlas.feature_of_explanation(all[i]));
    Task task{.explanation = all[i],
              .key = score_key(simulator, scorer, config),
              .questions = build_questions(record, scorer, config.questions),
              .text = {},
              .beside = {}};
    task.key.questions = task.questions.hash();
    const std::optional<Score> known = atlas.find_score(all[i], task.key);
    if (known && !(config.again && is_wanted_again(*known))) continue;
    const std::string feature = feature_name(record.sae, record.feature);
    const Explanation explanation = atlas.explanation(all[i]);
    task.text = text_of(explanation, feature);
    if (task.questions.insufficient.empty()) {
      // The ledger books the floor's questions on the feature that is scored.
      for (const std::int64_t other : floors.of(all[i]))
        task.beside.floors.push_back(text_of(atlas.explanation(other), feature));
      if (explanation.key.explainer != "lexical" || simulator.name() != lexical.name()) {
        task.beside.baseline = &lexical;
        task.beside.baseline_explanation = explain_lexically(record).english;
      }
    }
    visit(task, i + 1, all.size());
  }
}

json to_json(const Estimate& estimate) {
  return {{"value", estimate.value}, {"interval", {estimate.low, estimate.high}}};
}

json to_json(const SimulationCost& cost) {
  return {{"requests", cost.n_requests},
          {"prompt_tokens", cost.usage.prompt},
          {"cached_tokens", cost.usage.cached},
          {"completion_tokens", cost.usage.completion},
          {"reasoning_tokens", cost.usage.reasoning},
          {"money", cost.money}};
}

Score row_of(const ScoreResult& result, const ScoreKey& key) {
  const auto n = [&](AnswerStatus status) {
    return static_cast<std::int64_t>(result.n_answers[static_cast<std::size_t>(status)]);
  };
  json details{{"status", to_string(result.status)},
               {"auroc", to_json(result.auroc)},
               {"floor", to_json(result.floor)},
               {"n_floors", result.n_floors},
               {"above_floor", to_json(result.above_floor)},
               {"baseline", to_json(result.baseline)},
               {"above_baseline", to_json(result.above_baseline)},
               {"n_documents", result.n_documents},
               {"n_shared", result.n_shared},
               {"share_answered", result.share_answered()},
               {"cost", to_json(result.cost)}};
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
            .details = dump_json(details)};
  for (const SimulatedWindow& window : result.windows)
    if (!window.predicted.empty())
      row.simulations.push_back({.exemplar = window.exemplar, .values = window.predicted});
  return row;
}

void count(const ScoreResult& result, ScorerOutcome& outcome, double& sum, std::size_t& n_counted) {
  ++(result.status == ScoreStatus::ok ? outcome.n_scored : outcome.n_without);
  const std::size_t n_ok = result.n_answers[static_cast<std::size_t>(AnswerStatus::ok)];
  outcome.n_unanswered += result.n_asked > 0 && n_ok == 0;
  if (n_ok < result.n_asked || result.status == ScoreStatus::insufficient)
    outcome.reason = result.reason;
  if (const std::optional<double> counted = result.counted()) {
    sum += *counted;
    outcome.mean = sum / static_cast<double>(++n_counted);
  }
  outcome.n_with_floor += result.above_floor.has_interval();
  outcome.n_above_floor += result.above_floor.low > 0;
  outcome.n_with_baseline += result.above_baseline.has_interval();
  outcome.n_above_baseline += result.above_baseline.low > 0;
}

}  // namespace

ScoreKey score_key(const Simulator& simulator, Scorer scorer, const ScoreConfig& config) {
  return {.scorer = std::string(to_string(scorer)),
          .simulator = simulator.name(),
          .prompt_hash = simulator.prompt_hash(scorer),
          .seed = config.options.seed,
          .windows = static_cast<std::int64_t>(config.questions.max_windows),
          .batch = simulator.questions_per_request(),
          .questions = {}};
}

CostEstimate estimate_scoring(LlmSimulator& simulator, const ScoreConfig& config, Atlas& atlas) {
  CostEstimate estimate;
  Floors floors(atlas, config.n_floors);
  LexicalSimulator lexical;
  for (const Scorer scorer : config.scorers)
    for_each_task(simulator, scorer, config, floors, lexical, atlas,
                  [&](const Task& task, std::size_t, std::size_t) {
                    if (!task.questions.insufficient.empty()) return;
                    const auto add = [&](const ExplanationText& text) {
                      estimate += simulator.estimate(scorer, text, task.questions.questions);
                    };
                    add(task.text);
                    for (const ExplanationText& floor : task.beside.floors) add(floor);
                  });
  return estimate;
}

void score_explanations(Simulator& simulator, const ScoreConfig& config, Atlas& atlas,
                        Reporter& reporter, std::stop_token stop,
                        std::vector<ScorerOutcome>& outcomes) {
  Floors floors(atlas, config.n_floors);
  LexicalSimulator lexical;
  for (const Scorer scorer : config.scorers) {
    ScorerOutcome& outcome = outcomes.emplace_back(ScorerOutcome{.scorer = scorer, .reason = {}});
    double sum = 0;
    std::size_t n_counted = 0;
    const std::string stage = fmt::format("score {}", to_string(scorer));
    for_each_task(simulator, scorer, config, floors, lexical, atlas,
                  [&](const Task& task, std::size_t n_done, std::size_t n_all) {
                    if (stop.stop_requested())
                      failed("score", fmt::format("stopped at {} of {}", n_done - 1, n_all),
                             "run the same command again; what is there stays");
                    const ScoreResult result =
                        score(simulator, task.questions, task.text, task.beside, config.options);
                    atlas.put_score(task.explanation, row_of(result, task.key));
                    count(result, outcome, sum, n_counted);
                    reporter.progress(stage, n_done, n_all, "explanations", "");
                  });
  }
}

}  // namespace safesail
