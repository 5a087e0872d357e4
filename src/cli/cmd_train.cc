// `safesail train`: a grid of SAEs on a model and a corpus, or on activations from files.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "cli/corpus_options.h"
#include "cli/model_options.h"
#include "cli/number_checks.h"
#include "cli/print.h"
#include "cli/results_table.h"
#include "cli/session.h"
#include "sae/architecture.h"
#include "train/run.h"
#include "train/run_files.h"

namespace safesail {
namespace {

struct TrainOptions {
  ModelOptions model;
  CorpusOptions corpus;
  RunConfig run;
  std::string activations;
  std::vector<std::string> keys = {"x"};
  bool take_turns = false, force = false, as_json = false;
};

void print_results(const RunResult& result, const TrainOptions& options) {
  if (options.as_json)
    for (const CellResult& cell : result.cells) print("{}\n", to_json(cell));
  else
    print("\n{}\n{}\n", results_table(result.cells), speed_line(result));
  result.training.require_all_finished();
}

/// A training that is there already is only evaluated again.
std::string first_stage(const TrainOptions& options) {
  return options.force ? "train" : "evaluate";
}

void train_on_model(const TrainOptions& options, Session& session) {
  if (options.model.path.empty() || options.corpus.corpus.paths.empty() ||
      (options.run.sites.empty() && options.run.lists.transcoders.empty()))
    bad_input("train", "expected --model, --corpus and --sites (or --activations)",
              "see safesail train --help for an example");
  RunConfig config = options.run;
  config.model = options.model.path;
  config.load = options.model.load_options();
  config.corpus = options.corpus.corpus_config();
  config.corpus.seed = config.grid.seed;
  config.batch = options.corpus.batch_config();
  config.lists.seed = config.grid.seed;
  config.grid.overlap = !options.take_turns;
  print_results(run_stages(config, first_stage(options), *session.reporter, session.stop), options);
}

void train_on_files(const TrainOptions& options, Session& session) {
  FileRunConfig config{.activations = options.activations,
                       .held_out_share = options.run.held_out_share,
                       .lists = options.run.lists,
                       .grid = options.run.grid,
                       .out = options.run.out};
  config.lists.seed = config.grid.seed;
  // Reading is no work: nothing to overlap with.
  config.grid.overlap = false;
  if (config.lists.transcoders.empty()) config.lists.sites = options.keys;
  print_results(
      run_on_activations(std::move(config), first_stage(options), *session.reporter, session.stop),
      options);
}

void add_grid_options(CLI::App& command, TrainOptions& options) {
  constexpr const char* kGroup = "Grid: every combination is an SAE";
  GridLists& lists = options.run.lists;
  const auto list = [&](const char* name, auto& values, const std::string& help) {
    return command.add_option(name, values, help)
        ->delimiter(',')
        ->capture_default_str()
        ->group(kGroup);
  };
  command.add_option("-s,--sites", options.run.sites, "Sites: mlp_out.5,mlp_out.15 or mlp_out.*")
      ->group(kGroup);
  std::string names;
  for (const Architecture* architecture : all_architectures())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", architecture->name());
  list("--arch", lists.architectures, names);
  list("-k,--k,--target-l0", lists.ks,
       "Active features a token; where the architecture does not fix them the L0 it aims at (0: "
       "none, --penalty rules)");
  list("--expansion", lists.expansions, "Features as a multiple of the width");
  list("--features", lists.n_features, "Numbers of features (instead of --expansion)");
  command.add_option("--seeds", lists.n_seeds, "SAEs that differ in nothing but their seed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->group(kGroup);
  list("--transcoder", lists.transcoders,
       "Read one site and reconstruct another: mlp_in.5:mlp_out.5");
  command.add_flag("--skip", lists.skip, "Transcoders get a skip connection")->group(kGroup);
}

void add_schedule_options(CLI::App& command, TrainOptions& options) {
  constexpr const char* kGroup = "Training (defaults and their sources: docs/training.md)";
  GridConfig& grid = options.run.grid;
  TrainerOptions& trainer = options.run.lists.trainer;
  const auto option = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->capture_default_str()->group(kGroup);
  };
  option("--tokens", grid.n_tokens, "Tokens to train on");
  option("--batch", grid.batch_tokens, "Tokens of an SAE step");
  option("--lr", grid.lr, "Peak learning rate; 0: by width and budget");
  option("--warmup", grid.warmup_share, "Share of the budget over which it rises")
      ->check(CLI::Range(0.0, 1.0));
  option("--decay", grid.decay_share, "Share of the budget, at its end, over which it falls to 0")
      ->check(CLI::Range(0.0, 1.0));
  option("--k-anneal", grid.k_anneal_share,
         "Share of the budget over which k falls from 8 times its value")
      ->check(CLI::Range(0.0, 1.0));
  option("--auxk", trainer.auxk_coefficient,
         "Weight of the loss that revives dead features; 0: off");
  option("--dead-after", trainer.dead_after_tokens,
         "Tokens without firing after which a feature counts as dead; 0: by the budget")
      ->check(zero_or_more());
  option("--adam-eps", trainer.epsilon, "Adam's epsilon, for a loss that is a mean over the width")
      ->check(zero_or_more());
  option("--penalty", trainer.penalty,
         "Weight of the sparsity term, at the start where it is controlled; 0: the architecture's");
  option("--clip", trainer.clip_norm, "Largest joint gradient norm; 0: not cut");
  option("--drop-sinks", grid.drop_sinks,
         "Leave out tokens longer than this times the median (attention sinks); 0: none");
  option("--sample", grid.sample_tokens, "Tokens on which sites are measured before training");
  option("--block", grid.block_rows,
         "Tokens that the model computes between two turns of the SAEs");
  option("--shuffle-buffer", grid.shuffle_buffer,
         "Tokens in memory that are shuffled across documents");
  option("--seed", grid.seed, "Seed of weights and shuffling");
  option("--held-out", options.run.held_out_share, "Share of documents kept for evaluation")
      ->check(CLI::Range(0.0, 0.9));
}

}  // namespace

void add_train_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<TrainOptions>();
  GridConfig& grid = options->run.grid;
  grid.n_tokens = 1'000'000;
  CLI::App* command =
      app.add_subcommand("train", "Train a grid of SAEs on one model pass, and evaluate them");
  add_model_options(*command, options->model, "bf16");
  add_corpus_options(*command, options->corpus);
  command->get_option("--model")->required(false);
  command->get_option("--corpus")->required(false);
  CLI::Option* activations = command->add_option(
      "--activations", options->activations,
      "Train on these activations (safetensors file or folder) instead of a model");
  command->add_option("--key", options->keys, "Tensors [N, d] of --activations")
      ->delimiter(',')
      ->capture_default_str()
      ->needs(activations);
  add_grid_options(*command, *options);
  add_schedule_options(*command, *options);
  command
      ->add_option("--checkpoint-minutes", grid.checkpoint_minutes, "Minutes between checkpoints")
      ->capture_default_str();
  command
      ->add_option("--keep-checkpoints", grid.keep_checkpoints,
                   "Keep this many of the last, and the best")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--take-turns", options->take_turns,
                    "Model and SAEs in turns, not at the same time");
  command->add_option("-o,--out", options->run.out, "Run folder")->required();
  command->add_flag("--force", options->force, "Start over instead of going on");
  command->add_flag("--json", options->as_json, "Print results as JSON lines");
  command->footer(
      "Example:\n  safesail train --model model.gguf --corpus texts/*.jsonl.gz --sites "
      "mlp_out.8,mlp_out.17 \\\n"
      "      --arch topk,jumprelu -k 32,64 --tokens 10000000 --out runs/first\nRun it again after "
      "an "
      "interruption and it goes on where it stopped.");
  command->callback([=, &session] {
    session.action = [=, &session] {
      options->activations.empty() ? train_on_model(*options, session)
                                   : train_on_files(*options, session);
    };
  });
}

}  // namespace safesail
