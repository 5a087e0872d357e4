#include "run/phase2.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/version.h"
#include "interpret/lexical_simulator.h"
#include "model/read_spec.h"
#include "run/explain.h"
#include "stages/stages.h"

namespace safesail {
namespace {

using nlohmann::json;

/// What the stages share; model and SAEs are loaded when the first of them needs them.
struct Phase2 {
  const Phase2Config& config;
  Reporter& reporter;
  std::stop_token stop;
  Phase2Result result = {};
  std::unique_ptr<TextModel> loaded = {};
  std::vector<EvaluationCell> loaded_cells = {};

  const TextModel& model() {
    if (!loaded)
      loaded = std::make_unique<TextModel>(load_text_model(config.model, config.load, reporter));
    return *loaded;
  }
  const std::vector<EvaluationCell>& cells() {
    if (loaded_cells.empty())
      loaded_cells = load_cells(config.out, static_cast<int>(read_spec(config.model).n_layers));
    return loaded_cells;
  }
  fs::path atlas() const { return atlas_path(config.out); }
};

json select_settings(const Phase2Config& config) {
  const SelectConfig& select = config.select;
  return {{"model", config.model.string()},
          {"pairs", config.pairs},
          {"min_pairs", select.min_pairs},
          {"threshold", select.firing.threshold},
          {"chat", select.firing.chat},
          {"resamples", select.n_resamples},
          {"false_discovery_rate", select.tests.false_discovery_rate},
          {"min_discordant", select.tests.min_discordant},
          {"seed", select.seed}};
}

json exemplar_settings(const Phase2Config& config) {
  const CollectConfig& collect = config.collect;
  const ExemplarConfig& exemplars = collect.exemplars;
  return {{"select", select_settings(config)},
          {"corpus", collect.corpus.paths},
          {"field", collect.corpus.field},
          {"shuffle_window", collect.corpus.shuffle_window},
          {"corpus_seed", collect.corpus.seed},
          {"max_sequence", collect.batch.max_sequence},
          {"n_tokens", collect.n_tokens},
          {"max_features", collect.max_features},
          {"window_tokens", exemplars.window_tokens},
          {"kept", {exemplars.n_top, exemplars.n_per_level, exemplars.n_silent, exemplars.n_hard}},
          {"pool_windows", exemplars.pool_windows},
          {"shares", {exemplars.explain_share, exemplars.calibrate_share}},
          {"seed", exemplars.seed}};
}

json score_settings(const Phase2Config& config) {
  json scorers = json::array();
  for (const Scorer scorer : config.score.scorers) scorers.push_back(to_string(scorer));
  const QuestionOptions& questions = config.score.questions;
  return {{"exemplars", exemplar_settings(config)}, {"scorers", scorers},
          {"min_level", questions.min_level},       {"max_windows", questions.max_windows},
          {"min_windows", questions.min_windows},   {"seed", config.score.options.seed}};
}

StageRecord select_stage(Phase2& run) {
  const Phase2Config& config = run.config;
  const std::vector<ContrastPair> pairs = read_pairs({config.pairs.begin(), config.pairs.end()});
  const TextModel& model = run.model();
  FeatureSelection selection = select_features(model.model, model.tokenizer, run.cells(), pairs,
                                               config.select, run.reporter, run.stop);
  add_reconstruction(config.out / "evaluation.jsonl", selection);
  write_selection(
      config.out / "select", selection,
      {{"model", config.model.string()},
       {"pairs", fmt::format("{} from {}", pairs.size(), fmt::join(config.pairs, ", "))},
       {"false discovery rate", fmt::format("{}", config.select.tests.false_discovery_rate)},
       {"version", std::string("safesail ") + kVersion}});
  run.result.selection = std::move(selection);
  return {.config = select_settings(config),
          .inputs = config.pairs,
          .outputs = {"select/recommendation.json", "select/candidates.jsonl"},
          .seed = config.select.seed};
}

StageRecord exemplar_stage(Phase2& run) {
  const SelectionResult selection = read_selection(run.config.out / "select");
  // Begun anew: features of an older selection must not stay.
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(run.atlas().string() + suffix);
  Atlas atlas(run.atlas());
  atlas.begin_run({.version = kVersion,
                   .seed = run.config.collect.exemplars.seed,
                   .config = exemplar_settings(run.config).dump()});
  const Collected collected =
      collect_features(run.model(), run.config.model.filename().string(),
                       chosen_cells(run.cells(), selection.chosen), selection, run.config.collect,
                       atlas, run.reporter, run.stop);
  run.reporter.note(fmt::format("exemplars: {} features, {} of them with too few examples",
                                collected.n_features, collected.n_insufficient));
  return {.config = exemplar_settings(run.config),
          .inputs = run.config.collect.corpus.paths,
          .outputs = {"atlas.sqlite"},
          .seed = run.config.collect.exemplars.seed,
          .tokens = collected.n_tokens};
}

StageRecord explain_stage(Phase2& run) {
  Atlas atlas(run.atlas(), Atlas::Mode::write);
  const ExplainCounts counts =
      explain_features(lexical_explainer(), "", 0, atlas, run.reporter, run.stop);
  run.reporter.note(fmt::format("explain: {} features", counts.n_ok));
  return {.config = {{"explainer", "lexical"}, {"exemplars", exemplar_settings(run.config)}},
          .inputs = {"atlas.sqlite"},
          .outputs = {"atlas.sqlite"}};
}

StageRecord score_stage(Phase2& run) {
  Atlas atlas(run.atlas(), Atlas::Mode::write);
  LexicalSimulator simulator;
  const ScoreCounts counts =
      score_explanations(simulator, run.config.score, atlas, run.reporter, run.stop);
  run.reporter.note(
      fmt::format("score: {} scores; {} without one", counts.n_scored, counts.n_without));
  return {.config = score_settings(run.config),
          .inputs = {"atlas.sqlite"},
          .outputs = {"atlas.sqlite"},
          .seed = run.config.score.options.seed};
}

}  // namespace

Phase2Result run_phase2(const Phase2Config& config, const std::optional<std::string>& force,
                        Reporter& reporter, std::stop_token stop) {
  Phase2 run{config, reporter, std::move(stop)};
  const std::vector<Stage> stages = {
      {.name = "select",
       .config = select_settings(config),
       .run = [&] { return select_stage(run); },
       .writes = {"select"}},
      {.name = "exemplars",
       .config = exemplar_settings(config),
       .run = [&] { return exemplar_stage(run); },
       .writes = {"atlas.sqlite"}},
      {.name = "explain",
       .config = {{"explainer", "lexical"}, {"exemplars", exemplar_settings(config)}},
       .run = [&] { return explain_stage(run); }},
      {.name = "score", .config = score_settings(config), .run = [&] { return score_stage(run); }},
  };
  do_stages(stages, config.out, force, reporter);
  run.result.selected = read_selection(config.out / "select");
  return std::move(run.result);
}

}  // namespace safesail
