// `safesail train`: a grid of SAEs on a model and a corpus, or on activations from files.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "cli/corpus_options.h"
#include "cli/model_options.h"
#include "cli/results_table.h"
#include "cli/session.h"
#include "train/run.h"
#include "train/run_files.h"

namespace safesail {
namespace {

struct TrainOptions {
  ModelOptions model;
  CorpusOptions corpus;
  RunConfig run;
  std::string activations, key = "x";
  bool as_json = false;
};

void print_results(const RunResult& result, const TrainOptions& options) {
  if (options.as_json)
    for (const CellResult& cell : result.cells) fmt::print("{}\n", to_json(cell));
  else
    fmt::print("\n{}\n{}\n", results_table(result.cells), speed_line(result));
}

void train_on_model(const TrainOptions& options, Session& session) {
  if (options.model.path.empty() || options.corpus.corpus.paths.empty() ||
      options.run.sites.empty())
    bad_input("train", "expected --model, --corpus and --sites (or --activations)",
              "see safesail train --help for an example");
  RunConfig config = options.run;
  config.model = options.model.path;
  config.load = options.model.load_options();
  config.corpus = options.corpus.corpus_config();
  config.corpus.seed = config.grid.seed;
  config.batch = options.corpus.batch_config();
  print_results(run_phase_one(config, *session.reporter, session.stop), options);
}

void train_on_files(const TrainOptions& options, Session& session) {
  FileRunConfig config{.activations = options.activations,
                       .key = options.key,
                       .held_out_share = options.run.held_out_share,
                       .expansion = options.run.expansion,
                       .block_rows = options.run.block_rows,
                       .grid = options.run.grid,
                       .out = options.run.out,
                       .force = options.run.force};
  print_results(run_on_activations(std::move(config), *session.reporter, session.stop), options);
}

}  // namespace

void add_train_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<TrainOptions>();
  GridConfig& grid = options->run.grid;
  grid.ks = {32};
  grid.n_tokens = 1'000'000;
  CLI::App* command =
      app.add_subcommand("train", "Train SAEs: every site and sparsity in one model pass");
  add_model_options(*command, options->model, "bf16");
  add_corpus_options(*command, options->corpus);
  command->get_option("--model")->required(false);
  command->get_option("--corpus")->required(false);
  CLI::Option* activations = command->add_option(
      "--activations", options->activations,
      "Train on these activations (safetensors file or folder) instead of a model");
  command->add_option("--key", options->key, "Tensor [N, d] of --activations")
      ->capture_default_str()
      ->needs(activations);
  command->add_option("-s,--sites", options->run.sites, "Sites: mlp_out.5,mlp_out.15 or mlp_out.*");
  command->add_option("-k,--k", grid.ks, "Active features a token; one SAE a site and k")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--expansion", options->run.expansion, "Features as a multiple of the width")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--features", grid.n_features, "Number of features (instead of --expansion)");
  command->add_option("--tokens", grid.n_tokens, "Tokens to train on")->capture_default_str();
  command->add_option("--batch", grid.batch_tokens, "Tokens of an SAE step")->capture_default_str();
  command->add_option("--lr", grid.lr, "Peak learning rate; 0: 2e-4 / sqrt(features / 16384)")
      ->capture_default_str();
  command
      ->add_option("--auxk", grid.trainer.auxk_coefficient,
                   "Weight of the loss that revives dead features; 1/32 is usual")
      ->capture_default_str();
  command->add_option("--clip", grid.trainer.clip_norm, "Largest joint gradient norm; 0: not cut")
      ->capture_default_str();
  command
      ->add_option("--held-out", options->run.held_out_share,
                   "Share of documents kept for evaluation")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command->add_option("--block", options->run.block_rows, "Rows shuffled together")
      ->capture_default_str();
  command
      ->add_option("--checkpoint-minutes", grid.checkpoint_minutes, "Minutes between checkpoints")
      ->capture_default_str();
  command->add_flag("--overlap", grid.overlap,
                    "Run the model in a thread of its own while the SAEs train");
  command->add_option("--seed", grid.seed, "Seed of weights and shuffling")->capture_default_str();
  command->add_option("-o,--out", options->run.out, "Run folder")->required();
  command->add_flag("--force", options->run.force, "Start over instead of going on");
  command->add_flag("--json", options->as_json, "Print results as JSON lines");
  command->footer(
      "Example:\n  safesail train --model model.gguf --corpus texts/*.jsonl.gz --sites "
      "mlp_out.8,mlp_out.17 -k 32,64 \\\n"
      "      --tokens 10000000 --out runs/first\nRun it again after an interruption and it goes on "
      "where it stopped.");
  command->callback([=, &session] {
    session.action = [=, &session] {
      options->activations.empty() ? train_on_model(*options, session)
                                   : train_on_files(*options, session);
    };
  });
}

}  // namespace safesail
