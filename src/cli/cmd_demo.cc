// `safesail demo`: the main job on the packaged model, with nothing to configure.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "cli/best_features.h"
#include "cli/results_table.h"
#include "cli/selection_table.h"
#include "cli/session.h"
#include "run/phase2.h"
#include "train/run.h"

namespace safesail {
namespace {

struct DemoOptions {
  fs::path model = ".deps/models/smollm2-135m-instruct-q4_1.gguf";
  fs::path corpus = ".deps/corpora/wordnet.jsonl";
  fs::path pairs = "data/pairs/en.jsonl";
  fs::path out = "runs/demo";
  std::uint64_t tokens = 300'000, exemplar_tokens = 150'000;
  bool force = false;
};

/// Phase 2: which features stand for safety risks, what they fire on, and how well that is known.
void find_features(const DemoOptions& options, const RunConfig& run, Session& session) {
  session.reporter->note(
      "\nContrast pairs tell which features stand for safety risks, before any is explained. They "
      "are then\nexplained and scored by the lexical baseline: a model of 135M parameters cannot "
      "explain.");
  Phase2Config config;
  config.model = run.model;
  config.load = run.load;
  config.out = run.out;
  config.pairs = {options.pairs.string()};
  config.collect.corpus = run.corpus;
  config.collect.batch = run.batch;
  config.collect.n_tokens = options.exemplar_tokens;
  const Phase2Result result =
      run_phase2(config, options.force ? std::optional<std::string>("select") : std::nullopt,
                 *session.reporter, session.stop);
  if (result.selection) fmt::print("\n{}", selection_table(*result.selection));
  Atlas atlas(run.out / "atlas.sqlite", Atlas::Mode::read);
  const std::string out = run.out.string();
  fmt::print(
      "\nRecommended: {}\n{}\nEverything is in {}/: open report.html and select/report.html, "
      "or try\n"
      "  bin/safesail atlas search --atlas {} war\n"
      "  bin/safesail sae info --sae {}/sae/mlp_out.15/topk-k32/sae.safetensors\n",
      result.selected.reason, best_features(atlas, 10), out, out, out);
}

void run_demo(const DemoOptions& options, Session& session) {
  for (const fs::path& path : {options.model, options.corpus, options.pairs})
    if (!fs::exists(path))
      bad_input(path.string(), "the demo's data is not there",
                "run scripts/setup.sh from the checkout's root");
  RunConfig config;
  config.model = options.model;
  config.corpus.paths = {options.corpus.string()};
  // WordNet is sorted by meaning: shuffle all of it.
  config.corpus.shuffle_window = 1 << 17;
  config.batch = {.max_sequence = 512, .batch_tokens = 2048};
  config.sites = "mlp_out.7,mlp_out.15,mlp_out.23";
  config.lists.architectures = {"topk", "batchtopk", "jumprelu"};
  config.lists.ks = {16, 32, 64};
  config.lists.expansions = {4};
  config.grid.n_tokens = options.tokens;
  config.grid.batch_tokens = 1024;
  config.evaluation = {.n_tokens = 20'000, .n_loss_tokens = 4'000};
  config.out = options.out;
  session.reporter->note(
      "SmolLM2-135M-Instruct reads WordNet definitions once; 27 SAEs learn from that one pass\n"
      "(3 sites x 3 architectures x 3 sparsities), then held-out definitions tell how good they "
      "are.");
  const RunResult result =
      run_stages(config, options.force ? "train" : "evaluate", *session.reporter, session.stop);
  fmt::print("\n{}\n{}\n", results_table(result.cells), speed_line(result));
  result.training.require_all_finished();
  find_features(options, config, session);
}

}  // namespace

void add_demo_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* command =
      app.add_subcommand("demo", "The main job on the packaged model: 27 SAEs in one pass");
  command->add_option("--tokens", options->tokens, "Tokens to train on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("-o,--out", options->out, "Run folder")->capture_default_str();
  command->add_flag("--force", options->force, "Start over instead of going on");
  command->footer("Example:\n  make demo            the same as: safesail demo");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_demo(*options, session); }; });
}

}  // namespace safesail
