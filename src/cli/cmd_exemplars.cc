// `safesail exemplars`: looks for the selected features in a corpus and begins the atlas with what
// it finds.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "base/version.h"
#include "cli/corpus_options.h"
#include "cli/model_options.h"
#include "cli/number_checks.h"
#include "cli/print.h"
#include "cli/session.h"
#include "formats/json.h"
#include "model/read_spec.h"
#include "run/phase2_settings.h"
#include "stages/stages.h"

namespace safesail {
namespace {

struct ExemplarOptions {
  ModelOptions model;
  CorpusOptions corpus;
  CollectConfig collect;
  std::string run;
  bool as_json = false;
};

void run_exemplars(const ExemplarOptions& options, Session& session) {
  const fs::path run = options.run;
  // What can be wrong without the weights is said before they are loaded.
  const SelectionResult selection = read_selection(run / "select");
  const std::optional<ModelIdentity> identity = options.model.identity();
  const std::vector<EvaluationCell> cells =
      load_cells(run, static_cast<int>(read_spec(options.model.path).n_layers),
                 identity ? &*identity : nullptr);
  CollectConfig config = options.collect;
  config.corpus = options.corpus.corpus_config();
  config.batch = options.corpus.batch_config();
  require_corpus_files(config.corpus);
  const TextModel model =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  RunManifest manifest(run);
  const nlohmann::json settings = exemplar_settings(manifest.config("select"), config);
  Atlas atlas(atlas_path(run));
  atlas.begin_run(
      {.version = kVersion, .seed = config.exemplars.seed, .config = dump_json(settings)});
  Collected collected;
  record_stage(manifest, "exemplars", [&] {
    collected = collect_features(model, fs::path(options.model.path).filename().string(),
                                 chosen_cells(cells, selection.chosen), selection, config,
                                 OldFeatures::keep, atlas, *session.reporter, session.stop);
    return exemplar_record(settings, config, collected);
  });
  if (options.as_json) {
    print_json(Json{{"atlas", atlas_path(run).string()},
                    {"n_features", collected.n_features},
                    {"n_insufficient", collected.n_insufficient},
                    {"n_tokens", collected.n_tokens}},
               2);
    return;
  }
  print("{} features in {}, {} of them with too few examples; next: safesail explain --run {}\n",
        collected.n_features, (atlas_path(run)).string(), collected.n_insufficient, options.run);
}

}  // namespace

void add_exemplars_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<ExemplarOptions>();
  CLI::App* command = app.add_subcommand(
      "exemplars", "Find windows in which the selected features fire, or might have");
  add_model_options(*command, options->model, "bf16");
  add_any_model_option(*command, options->model);
  add_corpus_options(*command, options->corpus);
  command->add_option("-r,--run", options->run, "Run folder with its select/")->required();
  command->add_option("--tokens", options->collect.n_tokens, "Tokens to read")
      ->check(above_zero())
      ->capture_default_str();
  command
      ->add_option("--max-features", options->collect.max_features, "Of an SAE, the surest first")
      ->check(above_zero())
      ->capture_default_str();
  ExemplarConfig& exemplars = options->collect.exemplars;
  command->add_option("--window-tokens", exemplars.window_tokens, "Longest window")
      ->check(CLI::Range(4, 512))
      ->capture_default_str();
  command->add_option("--top", exemplars.n_top, "Strongest windows kept, for each use of documents")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--per-level", exemplars.n_per_level, "Windows drawn at each level")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", options->as_json, "Print JSON");
  command->add_option("--seed", exemplars.seed, "Of what is drawn")->capture_default_str();
  command->footer(
      "Example:\n"
      "  safesail exemplars --model model.gguf --run runs/first --corpus corpus.jsonl.zst "
      "--tokens 5000000");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_exemplars(*options, session); }; });
}

}  // namespace safesail
