// `safesail evaluate`: the SAEs of a run on held-out documents of any corpus.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "cli/corpus_options.h"
#include "cli/model_options.h"
#include "cli/results_table.h"
#include "cli/session.h"
#include "model/text_model.h"
#include "train/evaluate.h"

namespace safesail {
namespace {

struct EvaluateOptions {
  ModelOptions model;
  CorpusOptions corpus;
  EvaluationConfig evaluation;
  std::string run;
  double held_out_share = 0.05;
  bool all_documents = false, as_json = false;
};

void run_evaluate(const EvaluateOptions& options, Session& session) {
  const auto [tokenizer, model] =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  const std::vector<EvaluationCell> cells =
      load_cells(options.run, static_cast<int>(model.spec().n_layers));
  BatchStream batches(Corpus(options.corpus.corpus_config(), &tokenizer), tokenizer,
                      options.corpus.batch_config(),
                      options.all_documents ? Split::all : Split::held_out, options.held_out_share);
  const std::vector<CellResult> results = evaluate(
      model, std::move(batches), cells, options.evaluation, *session.reporter, session.stop);
  if (options.as_json)
    for (const CellResult& result : results) fmt::print("{}\n", to_json(result));
  else
    fmt::print("\n{}", results_table(results));
}

}  // namespace

void add_evaluate_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Held-out reconstruction, sparsity and loss of a run's SAEs");
  add_model_options(*command, options->model, "bf16");
  add_corpus_options(*command, options->corpus);
  command->add_option("-r,--run", options->run, "Run folder")->required();
  command
      ->add_option("--tokens", options->evaluation.n_tokens, "Tokens for FVU, L0 and dead features")
      ->capture_default_str();
  command->add_option("--loss-tokens", options->evaluation.n_loss_tokens, "Tokens for the losses")
      ->capture_default_str();
  command
      ->add_option("--held-out", options->held_out_share,
                   "Share of documents that training left out")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--all-documents", options->all_documents,
                    "A corpus that training never saw: use all of it");
  command->add_flag("--json", options->as_json, "Print a JSON line an SAE");
  command->footer(
      "Example:\n  safesail evaluate --model model.gguf --run runs/first --corpus other.jsonl "
      "--all-documents");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_evaluate(*options, session); }; });
}

}  // namespace safesail
