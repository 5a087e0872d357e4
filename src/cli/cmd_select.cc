// `safesail select`: which features of which SAE stand for which safety concept, before any
// explanation is paid for.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/version.h"
#include "cli/model_options.h"
#include "cli/selection_table.h"
#include "cli/session.h"
#include "model/text_model.h"
#include "select/selection_files.h"

namespace safesail {
namespace {

struct SelectOptions {
  ModelOptions model;
  SelectConfig select;
  std::string run, out;
  std::vector<std::string> saes, pairs = {"data/pairs/en.jsonl"};
};

std::vector<EvaluationCell> cells_of(const SelectOptions& options, int n_layers) {
  std::vector<EvaluationCell> cells;
  if (!options.run.empty()) cells = load_cells(options.run, n_layers);
  for (const std::string& path : options.saes) cells.push_back(load_cell(path, n_layers));
  if (cells.empty())
    bad_input("select", "expected SAEs, got none", "name a run (--run) or files (--sae)");
  return cells;
}

void run_select(const SelectOptions& options, Session& session) {
  if (options.run.empty() && options.out.empty())
    bad_input("--out", "expected a folder for the results", "name one, or a run (--run)");
  const std::vector<fs::path> files(options.pairs.begin(), options.pairs.end());
  const std::vector<ContrastPair> pairs = read_pairs(files);
  const auto [tokenizer, model] =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  const std::vector<EvaluationCell> cells =
      cells_of(options, static_cast<int>(model.spec().n_layers));
  FeatureSelection selection = select_features(model, tokenizer, cells, pairs, options.select,
                                               *session.reporter, session.stop);
  if (!options.run.empty())
    add_reconstruction(fs::path(options.run) / "evaluation.jsonl", selection);
  const fs::path folder =
      options.out.empty() ? fs::path(options.run) / "select" : fs::path(options.out);
  write_selection(
      folder, selection,
      {{"model", options.model.path},
       {"pairs", fmt::format("{} from {}", pairs.size(), fmt::join(options.pairs, ", "))},
       {"resamples", fmt::format("{}, seed {}", options.select.metrics.n_resamples,
                                 options.select.metrics.seed)},
       {"false discovery rate", fmt::format("{}", options.select.metrics.false_discovery_rate)},
       {"version", std::string("safesail ") + kVersion}});
  fmt::print("\n{}\n{}\n\nin {}/: report.html, candidates.jsonl, metrics.jsonl, lists.json\n",
             selection_table(selection), selection.recommendation.reason, folder.string());
}

}  // namespace

void add_select_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<SelectOptions>();
  CLI::App* command =
      app.add_subcommand("select", "Features that tell safety concepts apart, by contrast pairs");
  add_model_options(*command, options->model, "bf16");
  command->add_option("-r,--run", options->run, "Run folder: all its SAEs");
  command->add_option("--sae", options->saes, "Files sae.safetensors, trained here or converted");
  command->add_option("--pairs", options->pairs, "Contrast pairs, jsonl")->capture_default_str();
  command->add_option("-o,--out", options->out,
                      "Folder for the results; default: select/ in the run");
  command
      ->add_option("--fdr", options->select.metrics.false_discovery_rate,
                   "False discoveries allowed among the candidates of a concept, as a share")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_option("--threshold", options->select.firing.threshold,
                   "A feature fires in a text when its maximum is above this")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--min-pairs", options->select.min_pairs, "Of a concept that is judged")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--resamples", options->select.metrics.n_resamples,
                   "Label swaps for the null, and draws of pairs for the intervals")
      ->check(CLI::Range(20, 100000))
      ->capture_default_str();
  command->add_option("--seed", options->select.metrics.seed, "Of the resamples")
      ->capture_default_str();
  command->add_flag("--chat", options->select.firing.chat,
                    "Read each text as a user's message in the chat template");
  command->footer(
      "Examples:\n"
      "  safesail select --model model.gguf --run runs/first\n"
      "  safesail select --model model.gguf --run runs/first --pairs data/pairs/zh.jsonl "
      "--out runs/first/select-zh");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_select(*options, session); }; });
}

}  // namespace safesail
