#include "run/phase2.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/version.h"
#include "formats/json.h"
#include "interpret/lexical_simulator.h"
#include "model/read_spec.h"
#include "run/explain.h"
#include "run/phase2_settings.h"
#include "stages/stages.h"

namespace safesail {
namespace {

using nlohmann::json;

/// What the stages share; model and SAEs are loaded when the first of them needs them.
struct Phase2 {
  const Phase2Config& config;
  Reporter& reporter;
  std::stop_token stop;
  bool may_replace = false;  ///< what an atlas has of features: it was asked for
  Phase2Result result = {};
  std::unique_ptr<TextModel> loaded = {};
  std::vector<EvaluationCell> loaded_cells = {};

  const TextModel& model() {
    if (!loaded)
      loaded = std::make_unique<TextModel>(load_text_model(config.model, config.load, reporter));
    return *loaded;
  }
  const std::vector<EvaluationCell>& cells() {
    if (loaded_cells.empty()) {
      const ModelIdentity model(config.model);
      loaded_cells =
          load_cells(config.out, static_cast<int>(read_spec(config.model).n_layers), &model);
    }
    return loaded_cells;
  }
  fs::path atlas() const { return atlas_path(config.out); }
  json select() const { return select_settings(config.model, config.pairs, config.select); }
  json exemplars() const { return exemplar_settings(select(), config.collect); }
  json explain() const { return {{"explainer", "lexical"}, {"exemplars", exemplars()}}; }
  json score() const { return score_settings(exemplars(), config.score); }
};

StageRecord select_stage(Phase2& run) {
  const Phase2Config& config = run.config;
  const std::vector<ContrastPair> pairs = read_pairs({config.pairs.begin(), config.pairs.end()});
  const TextModel& model = run.model();
  std::vector<PairFiring> firing;
  FeatureSelection selection = select_features(model.model, model.tokenizer, run.cells(), pairs,
                                               config.select, firing, run.reporter, run.stop);
  add_reconstruction(config.out / "evaluation.jsonl", selection);
  write_selection(
      config.out / "select", selection,
      {{"model", config.model.string()},
       {"pairs", fmt::format("{} from {}", pairs.size(), fmt::join(config.pairs, ", "))},
       {"false discovery rate", fmt::format("{}", config.select.tests.false_discovery_rate)},
       {"version", std::string("safesail ") + kVersion}});
  run.reporter.note(precision_sentence(selection));
  run.result.selection = std::move(selection);
  return select_record(run.select(), config.pairs, config.select);
}

StageRecord exemplar_stage(Phase2& run) {
  const SelectionResult selection = read_selection(run.config.out / "select");
  Atlas atlas(run.atlas());
  if (!run.may_replace && atlas.has_explanations())
    bad_input(run.atlas().string(),
              "expected no explanations where the run has no record of its exemplars, got some",
              "keep them in another folder, or replace the features with --force exemplars: what "
              "was paid for, answers and ledger, stays in either case");
  atlas.begin_run({.version = kVersion,
                   .seed = run.config.collect.exemplars.seed,
                   .config = dump_json(run.exemplars())});
  const Collected collected =
      collect_features(run.model(), run.config.model.filename().string(),
                       chosen_cells(run.cells(), selection.chosen), selection, run.config.collect,
                       OldFeatures::replace, atlas, run.reporter, run.stop);
  run.reporter.note(fmt::format("exemplars: {} features, {} of them with too few examples",
                                collected.n_features, collected.n_insufficient));
  return exemplar_record(run.exemplars(), run.config.collect, collected);
}

StageRecord explain_stage(Phase2& run) {
  Atlas atlas(run.atlas(), Atlas::Mode::write);
  ExplainCounts counts;
  explain_features(lexical_explainer(), "", 0, atlas, run.reporter, run.stop, counts);
  run.reporter.note(fmt::format("explain: {} features", counts.n_ok));
  return {.config = run.explain(), .inputs = {"atlas.sqlite"}, .outputs = {"atlas.sqlite"}};
}

StageRecord score_stage(Phase2& run) {
  Atlas atlas(run.atlas(), Atlas::Mode::write);
  LexicalSimulator simulator;
  std::vector<ScorerOutcome> outcomes;
  score_explanations(simulator, run.config.score, atlas, run.reporter, run.stop, outcomes);
  std::size_t n_scored = 0, n_without = 0;
  for (const ScorerOutcome& outcome : outcomes) {
    n_scored += outcome.n_scored;
    n_without += outcome.n_without;
  }
  run.reporter.note(fmt::format("score: {} scores; {} without one", n_scored, n_without));
  return {.config = run.score(),
          .inputs = {"atlas.sqlite"},
          .outputs = {"atlas.sqlite"},
          .seed = run.config.score.options.seed};
}

}  // namespace

Phase2Result run_phase2(const Phase2Config& config, const std::optional<std::string>& force,
                        Reporter& reporter, std::stop_token stop) {
  Phase2 run{config, reporter, std::move(stop), force == "select" || force == "exemplars"};
  const std::vector<Stage> stages = {
      {.name = "select",
       .config = run.select(),
       .run = [&] { return select_stage(run); },
       .writes = {"select"}},
      {.name = "exemplars",
       .config = run.exemplars(),
       .run = [&] { return exemplar_stage(run); }},  // the atlas is replaced when it is done
      {.name = "explain", .config = run.explain(), .run = [&] { return explain_stage(run); }},
      {.name = "score", .config = run.score(), .run = [&] { return score_stage(run); }},
  };
  do_stages(stages, config.out, force, reporter);
  run.result.selected = read_selection(config.out / "select");
  return std::move(run.result);
}

}  // namespace safesail
