// `safesail harvest`: activations of a model over a corpus, to files.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <memory>

#include "base/memory.h"
#include "base/units.h"
#include "base/version.h"
#include "cli/corpus_options.h"
#include "cli/model_options.h"
#include "cli/number_checks.h"
#include "cli/print.h"
#include "cli/session.h"
#include "harvest/activation_files.h"
#include "harvest/harvester.h"
#include "harvest/to_files.h"
#include "model/identity.h"
#include "model/read_spec.h"
#include "model/text_model.h"
#include "train/training_data.h"

namespace safesail {
namespace {

struct HarvestOptions {
  ModelOptions model;
  CorpusOptions corpus;
  HarvestConfig harvest;
  std::string sites, out;
  double held_out_share = 0;
  bool as_json = false;
};

void state_needs(const HarvestOptions& options, const HarvestConfig& config,
                 const LanguageModel& model, Reporter& reporter) {
  // A block ends with a whole pass.
  const std::uint64_t rows =
      std::min(static_cast<std::uint64_t>(config.block_rows + options.corpus.batch.batch_tokens),
               config.max_rows);
  const std::uint64_t block = activation_bytes(rows, config.sites.size(), model.spec().d_model,
                                               options.model.dtype == "f32" ? 4 : 2);
  // Passes of many lengths leave holes in the heap, measured as about one pass.
  const std::uint64_t passes =
      2 * model.forward_bytes(options.corpus.batch.batch_tokens, config.sites.size(), false);
  state_memory("the model and the program",
               {{block, "a file's tokens"}, {passes, "the model's passes"}}, "the activations",
               "lower --shard or --batch-tokens", reporter);
}

void run_harvest(const HarvestOptions& options, Session& session) {
  Reporter& reporter = *session.reporter;
  // What can be wrong without the weights is said before they are loaded.
  const ModelSpec spec = read_spec(options.model.path);
  HarvestConfig config = options.harvest;
  config.sites = parse_sites(options.sites, static_cast<int>(spec.n_layers));
  require_corpus_files(options.corpus.corpus_config());
  const std::uint64_t bytes = activation_bytes(config.max_rows, config.sites.size(), spec.d_model,
                                               options.model.dtype == "f32" ? 4 : 2);
  reporter.note(fmt::format("{} tokens of {} sites will take at most {} in {}",
                            human_count(static_cast<double>(config.max_rows)), config.sites.size(),
                            human_bytes(bytes), options.out));
  require_disk(options.out, bytes, "the activations");
  const auto [tokenizer, model] =
      load_text_model(options.model.path, options.model.load_options(), reporter);
  state_needs(options, config, model, reporter);

  const ModelIdentity identity(options.model.path);
  std::map<std::string, std::string> metadata = to_metadata(
      {.corpus = options.corpus.corpus.paths, .held_out_share = options.held_out_share});
  metadata.merge(std::map<std::string, std::string>{
      {"model", fs::path(options.model.path).filename().string()},
      {"model_hash", identity.weights()},
      {"tokenizer_hash", identity.tokenizer()},
      {"sites", options.sites},
      {"dtype", options.model.dtype},
      {"special_tokens", config.keep_special ? "kept" : "left out"},
      {"token_policy", token_policy(!options.corpus.no_special, config.keep_special)},
      {"program_version", kVersion}});
  ActivationWriter writer(options.out, config.sites, std::move(metadata));
  Harvester harvester(model,
                      BatchStream(Corpus(options.corpus.corpus_config(), &tokenizer), tokenizer,
                                  options.corpus.batch_config(model.spec().vocab_size),
                                  Split::train, options.held_out_share),
                      config);
  const std::uint64_t n =
      harvest_to_files(harvester, writer, config.max_rows, reporter, session.stop);
  warn_of_bad_lines(harvester.corpus_report(), reporter);
  if (options.as_json)
    print("{{\"tokens\": {}, \"model_seconds\": {:.3f}}}\n", writer.rows_written(),
          harvester.model_seconds());
  else
    print("{} tokens in {}, {} tokens/s\n", n, options.out,
          human_count(static_cast<double>(harvester.model_tokens()) /
                      std::max(harvester.model_seconds(), 1e-9)));
}

}  // namespace

void add_harvest_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<HarvestOptions>();
  options->harvest.max_rows = 100'000;
  CLI::App* command =
      app.add_subcommand("harvest", "Activations of a model over a corpus, to safetensors files");
  add_model_options(*command, options->model, "bf16");
  add_corpus_options(*command, options->corpus);
  command->add_option("-s,--sites", options->sites, "Sites: mlp_out.5,mlp_out.15 or mlp_out.*")
      ->required();
  command->add_option("--tokens", options->harvest.max_rows, "Tokens to write at most")
      ->check(above_zero())
      ->capture_default_str();
  command->add_option("--shard", options->harvest.block_rows, "Tokens of a file")
      ->capture_default_str();
  command
      ->add_option("--held-out", options->held_out_share,
                   "Share of documents to leave out, so that they can be evaluated on")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command->add_flag("--keep-special", options->harvest.keep_special, "Write special tokens too");
  command->add_option("-o,--out", options->out, "Folder to write")->required();
  command->add_flag("--json", options->as_json, "Print a JSON line");
  command->footer(
      "Example:\n  safesail harvest --model model.gguf --corpus texts.jsonl --sites mlp_out.8 "
      "--tokens 50000 --out acts");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_harvest(*options, session); }; });
}

}  // namespace safesail
