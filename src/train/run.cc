#include "train/run.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/units.h"
#include "base/version.h"
#include "harvest/harvester.h"
#include "model/identity.h"
#include "model/read_spec.h"
#include "model/site_names.h"
#include "model/text_model.h"
#include "stages/stages.h"
#include "train/checkpoints.h"
#include "train/report.h"
#include "train/run_settings.h"
#include "train/training_stage.h"

namespace safesail {
namespace {

using nlohmann::json;

/// What the stages share. The model is loaded when the first of them needs it.
struct Run {
  RunConfig config;
  Reporter& reporter;
  std::stop_token stop;
  RunResult result = {};
  std::unique_ptr<TextModel> loaded = {};
  ModelIdentity identity{config.model};

  const TextModel& text_model() {
    if (!loaded)
      loaded = std::make_unique<TextModel>(load_text_model(config.model, config.load, reporter));
    return *loaded;
  }
  BatchStream batches(Split split) {
    const Tokenizer& tokenizer = text_model().tokenizer;
    BatchConfig batch = config.batch;
    batch.n_embeddings = text_model().model.spec().vocab_size;
    return {Corpus(config.corpus, &tokenizer), tokenizer, batch, split, config.held_out_share};
  }
};

/// Whether every sequence began with BOS: as the tokenizer really does it, not as its settings say.
bool prepends_bos(const BatchConfig& batch, const Tokenizer& tokenizer) {
  const std::vector<std::int32_t> ids = tokenizer.encode("a", batch.add_special).ids;
  return ids.size() > tokenizer.encode("a", false).ids.size() && ids.front() == tokenizer.bos();
}

SiteProvenance provenance_of(const RunConfig& config, const ModelIdentity& identity,
                             const std::vector<Site>& sites, const TextModel& model,
                             const std::string& config_hash) {
  const ModelSpec& spec = model.model.spec();
  SiteProvenance provenance;
  for (const Site& site : sites)
    provenance.push_back({.site = to_string(site),
                          .hf_module = hf_module(spec, site),
                          .transformer_lens_hook = transformer_lens_hook(spec, site),
                          .model_name = config.model.filename().string(),
                          .model_hash = identity.weights(),
                          .tokenizer_hash = identity.tokenizer(),
                          .token_policy = token_policy(config.batch.add_special, false),
                          .config_hash = config_hash,
                          .program_version = kVersion,
                          .prepends_bos = prepends_bos(config.batch, model.tokenizer),
                          .context_size = config.batch.max_sequence,
                          .dataset = fmt::format("{}", fmt::join(config.corpus.paths, " "))});
  return provenance;
}

void state_needs(const RunConfig& config, const LanguageModel& model, Reporter& reporter) {
  const std::uint64_t grid =
      grid_memory_bytes(config.grid, config.load.dtype == ComputeType::f32 ? 4 : 2);
  const std::uint64_t pass =
      model.forward_bytes(config.batch.batch_tokens, config.grid.sites.size(), true);
  state_memory("the model and the program",
               {{grid, fmt::format("{} SAEs and the shuffle buffer", config.grid.cells.size())},
                {pass, "the model's passes"}},
               "the grid of SAEs",
               "train fewer SAEs at once, smaller ones (--expansion), or lower --shuffle-buffer",
               reporter);
  const std::uint64_t disk = checkpoint_bytes(config.grid);
  reporter.note(fmt::format("disk: {} for checkpoints", human_bytes(disk)));
  require_disk(config.out, disk, "the checkpoints");
}

/// Sites and cells as the model knows them.
void resolve_grid(Run& run) {
  RunConfig& config = run.config;
  const ModelSpec spec = read_spec(config.model);
  resolve_sites(config, static_cast<int>(spec.n_layers));
  std::map<std::string, std::int64_t> widths;
  for (const std::string& site : config.grid.sites) widths[site] = spec.d_model;
  config.grid.cells = make_cells(config.lists, widths, config.grid.n_tokens);
}

StageRecord train(Run& run) {
  // What can be wrong without the weights is said before they are loaded.
  require_corpus_files(run.config.corpus);
  resolve_grid(run);
  const RunConfig& config = run.config;
  const TextModel& text_model = run.text_model();
  const LanguageModel& model = text_model.model;
  state_needs(config, model, run.reporter);
  std::vector<Site> sites;
  for (const std::string& site : config.grid.sites)
    sites.push_back(parse_site(site, static_cast<int>(model.spec().n_layers)));
  Harvester harvester(
      model, run.batches(Split::train),
      {.sites = sites, .block_rows = config.grid.block_rows, .max_rows = config.grid.n_tokens});
  const json settings = training_settings(config);
  const std::string hash = hash_of(settings);
  run.result.training = train_grid(
      harvester, config.grid, provenance_of(config, run.identity, sites, text_model, hash),
      config.out, hash, [&](std::int32_t id) { return text_model.tokenizer.token(id); },
      run.reporter, run.stop);
  warn_of_bad_lines(harvester.corpus_report(), run.reporter);

  std::vector<std::string> inputs = config.corpus.paths;
  inputs.push_back(config.model.string());
  return training_record(settings, std::move(inputs), config.grid, run.result.training);
}

std::vector<std::pair<std::string, std::string>> report_facts(const RunConfig& config) {
  return {{"model", config.model.string()},
          {"precision", config.load.dtype == ComputeType::f32 ? "f32" : "bf16"},
          {"corpus", fmt::format("{}", fmt::join(config.corpus.paths, ", "))},
          {"documents", config.held_out_share > 0 ? fmt::format("held out, {} % of the corpus",
                                                                100 * config.held_out_share)
                                                  : "none: nothing is held out"},
          {"bootstrap", fmt::format("{} resamples of documents, seed {}",
                                    config.evaluation.n_resamples, config.evaluation.seed)},
          {"training", hash_of(training_settings(config))},
          {"version", std::string("safesail ") + kVersion}};
}

StageRecord evaluate_run(Run& run) {
  run.result.training.require_any_finished();
  const auto& [tokenizer, model] = run.text_model();
  const std::vector<EvaluationCell> cells =
      load_cells(run.config.out, static_cast<int>(model.spec().n_layers), &run.identity);
  if (run.config.held_out_share > 0)
    run.result.cells = evaluate(model, run.batches(Split::held_out), cells, run.config.evaluation,
                                run.reporter, run.stop);
  add_training_rates(run.result.training, run.result.cells);
  std::string lines;
  for (const CellResult& cell : run.result.cells) lines += to_json(cell) + "\n";
  write_file(run.config.out / "evaluation.jsonl", lines);
  write_report(run.config.out / "report.html",
               {.title = "Evaluation of " + run.config.out.string(),
                .facts = report_facts(run.config),
                .cells = run.result.cells,
                .training = read_training_curves(run.config.out / "metrics.jsonl")});
  return {.config = evaluation_settings(run.config),
          .inputs = {"sae"},
          .outputs = {"evaluation.jsonl", "report.html"},
          .seed = run.config.grid.seed,
          .tokens = run.config.evaluation.n_tokens};
}

}  // namespace

RunResult run_stages(RunConfig config, const std::optional<std::string>& force, Reporter& reporter,
                     std::stop_token stop) {
  const Clock::time_point start = Clock::now();
  const fs::path out = config.out;
  Run run{std::move(config), reporter, stop};
  const std::vector<Stage> stages = {
      {.name = "train",
       .config = training_settings(run.config),
       .run = [&] { return train(run); },
       .writes = kTrainingWrites,
       .recall = [&](const json& details) { run.result.training = grid_result(details); },
       .clean_up = [&] { remove_checkpoints(out); }},
      {.name = "evaluate",
       .config = evaluation_settings(run.config),
       .run = [&] { return evaluate_run(run); },
       .writes = {"evaluation.jsonl", "report.html"}},
  };
  do_stages(stages, out, force, reporter);
  run.result.total_seconds = seconds_since(start);
  return std::move(run.result);
}

}  // namespace safesail
