// `safesail evaluate`: the SAEs of a run, or given by file, on held-out documents of any corpus.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>

#include "base/error.h"
#include "base/version.h"
#include "cli/corpus_options.h"
#include "cli/model_options.h"
#include "cli/print.h"
#include "cli/results_table.h"
#include "cli/session.h"
#include "model/read_spec.h"
#include "model/text_model.h"
#include "train/evaluate.h"
#include "train/report.h"
#include "train/training_data.h"

namespace safesail {
namespace {

struct EvaluateOptions {
  ModelOptions model;
  CorpusOptions corpus;
  EvaluationConfig evaluation;
  std::string run, site, report;
  std::vector<std::string> saes;
  std::optional<double> held_out_share;  ///< nothing: the run's own
  bool all_documents = false, as_json = false;
};

constexpr double kUsualShare = 0.05;

std::vector<EvaluationCell> cells_of(const EvaluateOptions& options, int n_layers) {
  const std::optional<ModelIdentity> identity = options.model.identity();
  const ModelIdentity* model = identity ? &*identity : nullptr;
  std::vector<EvaluationCell> cells;
  if (!options.run.empty()) cells = load_cells(options.run, n_layers, model);
  for (const std::string& path : options.saes)
    cells.push_back(load_cell(path, n_layers, model, options.site));
  if (cells.empty())
    bad_input("evaluate", "expected SAEs, got none", "name a run (--run) or files (--sae)");
  return cells;
}

/// As a shell takes it.
std::string quoted(const std::string& word) {
  if (word.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,=:@%+") ==
          std::string::npos &&
      !word.empty())
    return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// Which documents are evaluated on, and what is known of that.
struct Documents {
  double share;
  Separation separation;
};

Documents documents_of(const EvaluateOptions& options) {
  std::optional<TrainingData> trained;
  if (!options.run.empty() && options.saes.empty()) trained = training_data(options.run);
  const bool left_out = trained && trained->held_out_share > 0;
  const double share =
      options.all_documents
          ? 1
          : options.held_out_share.value_or(left_out ? trained->held_out_share : kUsualShare);
  return {share, separation(trained, {options.corpus.corpus.paths, share})};
}

/// The command that makes the report again; what is not in it is the default.
std::string command_of(const EvaluateOptions& options, double share) {
  std::string text = "safesail evaluate --model " + quoted(options.model.path);
  for (const std::string& path : options.corpus.corpus.paths) text += " --corpus " + quoted(path);
  if (!options.run.empty()) text += " --run " + quoted(options.run);
  for (const std::string& path : options.saes) text += " --sae " + quoted(path);
  if (!options.site.empty()) text += " --site " + quoted(options.site);
  const CorpusConfig& corpus = options.corpus.corpus;
  text += fmt::format(" --field {} --shuffle-window {} --max-sequence {} --batch-tokens {}",
                      quoted(corpus.field), corpus.shuffle_window,
                      options.corpus.batch.max_sequence, options.corpus.batch.batch_tokens);
  if (options.corpus.paragraphs) text += " --paragraphs";
  if (options.corpus.no_special) text += " --no-special";
  if (options.all_documents)
    text += " --all-documents";
  else
    text += fmt::format(" --held-out {}", share);
  if (options.model.any_model) text += " --any-model";
  return text + fmt::format(" --tokens {} --loss-tokens {} --seed {} --dtype {} --device {}",
                            options.evaluation.n_tokens, options.evaluation.n_loss_tokens,
                            options.evaluation.seed, options.model.dtype, options.model.device);
}

void write_evaluation_report(const EvaluateOptions& options, const Documents& documents,
                             std::vector<CellResult> results, Reporter& reporter) {
  fs::path path = options.report;
  if (path.empty() && !options.run.empty()) path = fs::path(options.run) / "report.html";
  if (path.empty()) return;
  const std::string name =
      options.run.empty() ? fmt::format("{} SAEs", results.size()) : options.run;
  Report report{
      .title = "Evaluation of " + name,
      .facts = {{"model", options.model.path},
                {"precision", options.model.dtype},
                {"corpus", fmt::format("{}", fmt::join(options.corpus.corpus.paths, ", "))},
                {"documents", documents.separation.text},
                {"bootstrap", fmt::format("{} resamples of documents, seed {}",
                                          options.evaluation.n_resamples, options.evaluation.seed)},
                {"version", std::string("safesail ") + kVersion},
                {"command", command_of(options, documents.share)}},
      .cells = std::move(results),
      .training = {}};
  if (!options.run.empty())
    report.training = read_training_curves(fs::path(options.run) / "metrics.jsonl");
  write_report(path, report);
  reporter.note("report: " + path.string());
}

void run_evaluate(const EvaluateOptions& options, Session& session) {
  // What can be wrong without the weights is said before they are loaded.
  require_corpus_files(options.corpus.corpus_config());
  const std::vector<EvaluationCell> cells =
      cells_of(options, static_cast<int>(read_spec(options.model.path).n_layers));
  const Documents documents = documents_of(options);
  if (!documents.separation.sure)
    session.reporter->warn("evaluated on: " + documents.separation.text);
  const auto [tokenizer, model] =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  BatchStream batches(Corpus(options.corpus.corpus_config(), &tokenizer), tokenizer,
                      options.corpus.batch_config(model.spec().vocab_size),
                      options.all_documents ? Split::all : Split::held_out, documents.share);
  const std::vector<CellResult> results = evaluate(
      model, std::move(batches), cells, options.evaluation, *session.reporter, session.stop);
  if (options.as_json)
    for (const CellResult& result : results) print("{}\n", to_json(result));
  else
    print("\n{}", results_table(results));
  write_evaluation_report(options, documents, results, *session.reporter);
}

}  // namespace

void add_evaluate_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<EvaluateOptions>();
  CLI::App* command =
      app.add_subcommand("evaluate", "Held-out reconstruction, sparsity and loss of SAEs");
  add_model_options(*command, options->model, "bf16");
  add_any_model_option(*command, options->model);
  add_corpus_options(*command, options->corpus);
  command->add_option("-r,--run", options->run, "Run folder: all its SAEs");
  command->add_option("--sae", options->saes, "Files sae.safetensors, trained here or converted");
  command->add_option("--site", options->site,
                      "Site of the SAEs given by --sae, if not as they say");
  command
      ->add_option("--tokens", options->evaluation.n_tokens, "Tokens for FVU, L0 and dead features")
      ->capture_default_str();
  command->add_option("--loss-tokens", options->evaluation.n_loss_tokens, "Tokens for the losses")
      ->capture_default_str();
  command
      ->add_option("--held-out", options->held_out_share,
                   "Share of documents to evaluate on; default: those that the run's training left "
                   "out, else 0.05")
      ->check(CLI::Range(0.0, 1.0));
  command->add_flag("--all-documents", options->all_documents,
                    "A corpus that training never saw: use all of it");
  command->add_option("--seed", options->evaluation.seed, "Of the bootstrap's resamples")
      ->capture_default_str();
  command->add_option("--report", options->report,
                      "HTML report with plots; default: report.html in the run folder");
  command->add_flag("--json", options->as_json, "Print a JSON line an SAE");
  command->footer(
      "Examples:\n"
      "  safesail evaluate --model model.gguf --run runs/first --corpus other.jsonl "
      "--all-documents\n"
      "  safesail evaluate --model model.gguf --sae a.safetensors b.safetensors --corpus c.jsonl "
      "--report r.html");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_evaluate(*options, session); }; });
}

}  // namespace safesail
