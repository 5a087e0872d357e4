#include "run/phase2_settings.h"

namespace safesail {

using nlohmann::json;

json select_settings(const fs::path& model, const std::vector<std::string>& pairs,
                     const SelectConfig& config) {
  return {{"model", model.string()},
          {"pairs", pairs},
          {"min_pairs", config.min_pairs},
          {"threshold", config.firing.threshold},
          {"chat", config.firing.chat},
          {"resamples", config.n_resamples},
          {"false_discovery_rate", config.tests.false_discovery_rate},
          {"min_discordant", config.tests.min_discordant},
          {"held_out", config.held_out_share},
          {"seed", config.seed}};
}

json exemplar_settings(const json& select, const CollectConfig& config) {
  const ExemplarConfig& exemplars = config.exemplars;
  return {{"select", select},
          {"corpus", config.corpus.paths},
          {"field", config.corpus.field},
          {"shuffle_window", config.corpus.shuffle_window},
          {"corpus_seed", config.corpus.seed},
          {"max_sequence", config.batch.max_sequence},
          {"n_tokens", config.n_tokens},
          {"max_features", config.max_features},
          {"window_tokens", exemplars.window_tokens},
          {"kept", {exemplars.n_top, exemplars.n_per_level, exemplars.n_silent, exemplars.n_hard}},
          {"pool_windows", exemplars.pool_windows},
          {"shares", {exemplars.explain_share, exemplars.calibrate_share}},
          {"seed", exemplars.seed}};
}

json score_settings(const json& exemplars, const ScoreConfig& config) {
  json scorers = json::array();
  for (const Scorer scorer : config.scorers) scorers.push_back(to_string(scorer));
  const QuestionOptions& questions = config.questions;
  return {{"exemplars", exemplars},
          {"scorers", scorers},
          {"min_level", questions.min_level},
          {"max_windows", questions.max_windows},
          {"min_windows", questions.min_windows},
          {"floors", config.n_floors},
          {"seed", config.options.seed}};
}

StageRecord select_record(const json& settings, const std::vector<std::string>& pairs,
                          const SelectConfig& config) {
  return {.config = settings,
          .inputs = pairs,
          .outputs = {"select/recommendation.json", "select/candidates.jsonl"},
          .seed = config.seed};
}

StageRecord exemplar_record(const json& settings, const CollectConfig& config,
                            const Collected& collected) {
  return {.config = settings,
          .inputs = config.corpus.paths,
          .outputs = {"atlas.sqlite"},
          .seed = config.exemplars.seed,
          .tokens = collected.n_tokens};
}

}  // namespace safesail
