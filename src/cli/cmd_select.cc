// `safesail select`: which features of which SAE stand for which safety concept, before any
// explanation is paid for.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/version.h"
#include "cli/model_options.h"
#include "cli/number_checks.h"
#include "cli/print.h"
#include "cli/selection_table.h"
#include "cli/session.h"
#include "harvest/pooled.h"
#include "model/read_spec.h"
#include "model/text_model.h"
#include "run/phase2_settings.h"
#include "run/probe.h"
#include "select/pair_import.h"
#include "select/selection_files.h"

namespace safesail {
namespace {

struct SelectOptions {
  ModelOptions model;
  SelectConfig select;
  std::string run, out;
  std::vector<std::string> columns, values;
  bool probe = false;
  std::vector<std::string> saes, pairs = {"data/pairs/en.jsonl"};
};

std::vector<EvaluationCell> cells_of(const SelectOptions& options, int n_layers) {
  const std::optional<ModelIdentity> identity = options.model.identity();
  const ModelIdentity* model = identity ? &*identity : nullptr;
  std::vector<EvaluationCell> cells;
  if (!options.run.empty()) cells = load_cells(options.run, n_layers, model);
  for (const std::string& path : options.saes) cells.push_back(load_cell(path, n_layers, model));
  if (cells.empty())
    bad_input("select", "expected SAEs, got none", "name a run (--run) or files (--sae)");
  return cells;
}

/// "text=prompt" as ours -> theirs.
std::map<std::string, std::string> assignments(const std::vector<std::string>& texts,
                                               const char* option) {
  std::map<std::string, std::string> result;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      bad_input(option, fmt::format("expected name=value, got \"{}\"", text),
                fmt::format("write it as in {} text=prompt", option));
    result[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return result;
}

std::string cell_of(const Estimate& estimate) {
  return fmt::format("{:.3f} ({:.3f}-{:.3f})", estimate.value, estimate.low, estimate.high);
}

/// AUROC on held-out pairs of each whole domain, for the recommended SAEs.
std::string probe_table(const SelectOptions& options, const TextModel& model,
                        const std::vector<EvaluationCell>& cells,
                        const std::vector<PairFiring>& firing,
                        const std::vector<ContrastPair>& pairs, const FeatureSelection& selection,
                        Session& session) {
  const std::vector<std::size_t>& chosen = selection.recommendation.recommended().saes;
  std::vector<Site> sites;
  for (const std::size_t i : chosen) sites.push_back(cells[i].input);
  std::vector<std::string> texts;
  for (const ContrastPair& pair : pairs) {
    texts.push_back(pair.text);
    texts.push_back(pair.counterpart);
  }
  const std::vector<std::vector<float>> raw =
      mean_activations(model.model, model.tokenizer, sites, texts, options.select.firing.batch,
                       *session.reporter, session.stop);
  std::string table =
      fmt::format("{:<14} {:<11} {:>5} {:>19} {:>19} {:>19} {:>19} {:>19}\n", "concept", "site",
                  "pairs", "best feature", "best 5", "best 20", "mean difference", "dense probe");
  for (std::size_t c = 0; c < selection.concepts.size(); ++c)
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const Concept& concept_ = selection.concepts[c];
      if (!concept_.subclass.empty()) continue;
      const ProbeResult result =
          probe(firing[chosen[i]], raw[i], model.model.spec().d_model, pairs, concept_,
                selection.held_out[c], {.seed = options.select.seed});
      table +=
          fmt::format("{:<14} {:<11} {:>5} {:>19} {:>19} {:>19} {:>19} {:>19}\n",
                      concept_.name + " " + concept_.language, to_string(sites[i]), result.n_test,
                      cell_of(result.one), cell_of(result.five), cell_of(result.twenty),
                      cell_of(result.mean_difference), cell_of(result.dense));
    }
  return table;
}

void run_select(const SelectOptions& options, Session& session) {
  if (options.run.empty() && options.out.empty())
    bad_input("--out", "expected a folder for the results", "name one, or a run (--run)");
  const std::vector<fs::path> files(options.pairs.begin(), options.pairs.end());
  const std::vector<ContrastPair> pairs =
      read_any_pairs(files, {.columns = assignments(options.columns, "--pair-columns"),
                             .values = assignments(options.values, "--pair-values")});
  const std::vector<EvaluationCell> cells =
      cells_of(options, static_cast<int>(read_spec(options.model.path).n_layers));
  const TextModel text_model =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  const Clock::time_point start = Clock::now();
  std::vector<PairFiring> firing;
  FeatureSelection selection =
      select_features(text_model.model, text_model.tokenizer, cells, pairs, options.select, firing,
                      *session.reporter, session.stop);
  if (!options.run.empty())
    add_reconstruction(fs::path(options.run) / "evaluation.jsonl", selection);
  const fs::path folder =
      options.out.empty() ? fs::path(options.run) / "select" : fs::path(options.out);
  write_selection(
      folder, selection,
      {{"model", options.model.path},
       {"pairs", fmt::format("{} from {}", pairs.size(), fmt::join(options.pairs, ", "))},
       {"resamples", fmt::format("{}, seed {}", options.select.n_resamples, options.select.seed)},
       {"false discovery rate", fmt::format("{}", options.select.tests.false_discovery_rate)},
       {"version", std::string("safesail ") + kVersion}});
  if (!options.run.empty() && options.out.empty()) {
    nlohmann::json settings = select_settings(options.model.path, options.pairs, options.select);
    // As of all the run's SAEs and of pairs as they are; what only a command line can say is added.
    if (!options.saes.empty()) settings["saes"] = options.saes;
    if (!options.columns.empty()) settings["pair_columns"] = options.columns;
    if (!options.values.empty()) settings["pair_values"] = options.values;
    StageRecord record = select_record(settings, options.pairs, options.select);
    record.seconds = seconds_since(start);
    RunManifest(options.run).record("select", record);
  }
  print("\n{}\n{}\n{}\n\nin {}/: report.html, candidates.jsonl, metrics.jsonl, lists.json\n",
        selection_table(selection), selection.recommendation.reason, precision_sentence(selection),
        folder.string());
  if (options.probe)
    print("\nAUROC on held-out pairs, features chosen on the others\n{}",
          probe_table(options, text_model, cells, firing, pairs, selection, session));
}

}  // namespace

void add_select_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<SelectOptions>();
  CLI::App* command =
      app.add_subcommand("select", "Features that tell safety concepts apart, by contrast pairs");
  add_model_options(*command, options->model, "bf16");
  add_any_model_option(*command, options->model);
  command->add_option("-r,--run", options->run, "Run folder: all its SAEs");
  command->add_option("--sae", options->saes, "Files sae.safetensors, trained here or converted");
  command
      ->add_option(
          "--pairs", options->pairs,
          "Contrast pairs: jsonl of our form, a csv of HateCheck, or a table by --pair-columns")
      ->capture_default_str();
  command->add_option("--pair-columns", options->columns,
                      "Columns of a table, as in text=prompt counterpart=neutral");
  command->add_option("--pair-values", options->values,
                      "The same for every row, as in domain=violence language=en");
  command
      ->add_option(
          "--held-out", options->select.held_out_share,
          "Share of each subclass's finest concepts that has no part in choosing; the accepted "
          "features are tried on it. 0: none")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command->add_flag("--probe", options->probe,
                    "Also print how well single features, several, and probes without any SAE tell "
                    "the held-out pairs apart");
  command->add_option("-o,--out", options->out,
                      "Folder for the results; default: select/ in the run");
  command
      ->add_option("--fdr", options->select.tests.false_discovery_rate,
                   "False discoveries allowed among the features accepted, as a share")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_option("--threshold", options->select.firing.threshold,
                   "A feature fires in a text when its maximum is above this")
      ->check(zero_or_more())
      ->capture_default_str();
  command->add_option("--min-pairs", options->select.min_pairs, "Of a concept that is judged")
      ->check(above_zero())
      ->capture_default_str();
  command
      ->add_option("--resamples", options->select.n_resamples,
                   "Label swaps for the null, and draws of concepts for the intervals")
      ->check(CLI::Range(20, 100000))
      ->capture_default_str();
  command->add_option("--seed", options->select.seed, "Of the resamples")->capture_default_str();
  command->add_flag("--chat", options->select.firing.chat,
                    "Read each text as a user's message in the chat template");
  command->footer(
      "Examples:\n"
      "  safesail select --model model.gguf --run runs/first\n"
      "  safesail select --model model.gguf --run runs/first --pairs data/pairs/zh.jsonl "
      "--out runs/first/select-zh\n"
      "  safesail select --model model.gguf --run runs/first --pairs hatecheck.csv --probe "
      "--out hate");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_select(*options, session); }; });
}

}  // namespace safesail
