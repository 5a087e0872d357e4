// `safesail demo`: the main job on the packaged model, with nothing to configure.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/cpu.h"
#include "base/error.h"
#include "cli/number_checks.h"
#include "cli/phase2_summary.h"
#include "cli/print.h"
#include "cli/results_table.h"
#include "cli/session.h"
#include "run/run_plan.h"

namespace safesail {
namespace {

struct DemoOptions {
  fs::path model = ".deps/models/smollm2-135m-instruct-q4_1.gguf";
  fs::path corpus = ".deps/corpora/wordnet.jsonl";
  fs::path pairs = "data/pairs/en.jsonl";
  fs::path out = "runs/demo";
  // Sized for eight minutes on the slowest CPU tried; without bf16 products the model and the SAEs
  // take three times as long.
  std::uint64_t tokens = cpu_multiplies_bf16() ? 200'000 : 75'000;
  std::uint64_t evaluation_tokens = cpu_multiplies_bf16() ? 15'000 : 7'500;
  std::uint64_t exemplar_tokens = cpu_multiplies_bf16() ? 100'000 : 50'000;
  bool force = false;
};

void run_demo(const DemoOptions& options, Session& session) {
  for (const fs::path& path : {options.model, options.corpus, options.pairs})
    if (!fs::exists(path))
      bad_input(path.string(), "the demo's data is not there",
                "run scripts/setup.sh from the checkout's root");
  RunPlan plan;
  RunConfig& config = plan.phase1;
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
  config.evaluation = {.n_tokens = options.evaluation_tokens,
                       .n_loss_tokens = options.evaluation_tokens / 5};
  config.out = options.out;
  plan.phase2.pairs = {options.pairs.string()};
  plan.phase2.collect.corpus = config.corpus;
  plan.phase2.collect.batch = config.batch;
  plan.phase2.collect.n_tokens = options.exemplar_tokens;
  session.reporter->note(
      "SmolLM2-135M-Instruct reads WordNet definitions once; 27 SAEs learn from that one pass\n"
      "(3 sites x 3 architectures x 3 sparsities), then held-out definitions tell how good they "
      "are.\nContrast pairs tell which features stand for safety risks, before any is explained; "
      "those are then\nexplained and scored by the lexical baseline: a model of 135M parameters "
      "cannot explain.");
  const PlanResult result =
      run_plan(plan, options.force ? std::optional<std::string>("train") : std::nullopt,
               *session.reporter, session.stop);
  if (!result.phase1.cells.empty())
    print("\n{}\n{}\n", results_table(result.phase1.cells), speed_line(result.phase1));
  print("\n{}", phase2_summary(*result.phase2, options.out));
  result.phase1.training.require_all_finished();
}

}  // namespace

void add_demo_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* command =
      app.add_subcommand("demo", "The main job on the packaged model: 27 SAEs in one pass");
  command->add_option("--tokens", options->tokens, "Tokens to train on")
      ->check(above_zero())
      ->capture_default_str();
  command->add_option("-o,--out", options->out, "Run folder")->capture_default_str();
  command->add_flag("--force", options->force, "Start over instead of going on");
  command->footer("Example:\n  make demo            the same as: safesail demo");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_demo(*options, session); }; });
}

}  // namespace safesail
