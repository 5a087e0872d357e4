#include "train/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/units.h"
#include "base/version.h"
#include "harvest/harvester.h"
#include "model/site_names.h"
#include "model/text_model.h"
#include "train/checkpoints.h"

namespace safesail {
namespace {

using nlohmann::json;

std::string dtype_name(ComputeType dtype) {
  return dtype == ComputeType::f32 ? "f32" : "bf16";
}

/// What the documents, the model and the settings are, without where the result goes.
json describe(const RunConfig& c) {
  return {{"model", c.model.string()},
          {"dtype", dtype_name(c.load.dtype)},
          {"corpus",
           {{"paths", c.corpus.paths},
            {"field", c.corpus.field},
            {"document_per_line", c.corpus.document_per_line},
            {"shuffle_window", c.corpus.shuffle_window}}},
          {"max_sequence", c.batch.max_sequence},
          {"batch_tokens_model", c.batch.batch_tokens},
          {"add_special", c.batch.add_special},
          {"held_out_share", c.held_out_share},
          {"sites", c.grid.sites},
          {"ks", c.grid.ks},
          {"n_features", c.grid.n_features},
          {"n_tokens", c.grid.n_tokens},
          {"batch_tokens", c.grid.batch_tokens},
          {"block_rows", c.block_rows},
          {"lr", c.grid.lr},
          {"warmup_share", c.grid.warmup_share},
          {"decay_share", c.grid.decay_share},
          {"auxk_coefficient", c.grid.trainer.auxk_coefficient},
          {"clip_norm", c.grid.trainer.clip_norm},
          {"dead_after_tokens", c.grid.trainer.dead_after_tokens},
          {"seed", c.grid.seed}};
}

std::string model_hash(const fs::path& model) {
  if (!fs::is_directory(model)) return hash_hex(MappedFile(model).bytes());
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(model))
    if (entry.path().extension() == ".safetensors" || entry.path().filename() == "config.json")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string hashes;
  for (const fs::path& file : files) hashes += hash_hex(MappedFile(file).bytes());
  return hash_hex(hashes);
}

BatchStream open_batches(const RunConfig& config, const Tokenizer& tokenizer, Split split) {
  return {Corpus(config.corpus, &tokenizer), tokenizer, config.batch, split, config.held_out_share};
}

SiteProvenance provenance_of(const RunConfig& config, const std::vector<Site>& sites,
                             const ModelSpec& spec) {
  SiteProvenance provenance;
  const std::string hash = model_hash(config.model);
  for (const Site& site : sites)
    provenance.push_back(
        {.site = to_string(site),
         .hf_module = hf_module(spec, site),
         .transformer_lens_hook = transformer_lens_hook(spec, site),
         .model_name = config.model.filename().string(),
         .model_hash = hash,
         .token_policy = config.batch.add_special
                             ? "special tokens added and read; left out of training"
                             : "no special tokens added; those in the text left out of training",
         .config_hash = hash_hex(config_json(config)),
         .program_version = kVersion});
  return provenance;
}

/// Where a finished stage left its mark; nothing when the run is not there or not finished.
json read_manifest(const fs::path& run) {
  if (!fs::exists(run / "manifest.json")) return json::object();
  json manifest = json::parse(read_file(run / "manifest.json", 1 << 24), nullptr, false);
  if (!manifest.is_object() || !manifest.contains("config_hash"))
    bad_input((run / "manifest.json").string(),
              "expected a manifest of Safesail, got something else",
              "choose another --out, or start over with --force");
  return manifest;
}

void prepare_folder(const RunConfig& config, const std::string& hash, json& manifest) {
  if (config.force) {
    // Only what a run of ours writes; whatever else lies in the folder is not ours to remove.
    for (const char* name : {"sae", "checkpoints"}) fs::remove_all(config.out / name);
    for (const char* name : {"manifest.json", "metrics.jsonl", "evaluation.jsonl"})
      fs::remove(config.out / name);
    manifest = json::object();
  }
  if (manifest.contains("config_hash") && manifest["config_hash"] != hash)
    bad_input(config.out.string(), "expected a run of this configuration, got one of another",
              "choose another --out, or start over with --force");
}

void state_memory(const RunConfig& config, const LanguageModel& model, Reporter& reporter) {
  const std::uint64_t grid =
      grid_memory_bytes(config.grid, model.spec().d_model, config.block_rows);
  const std::uint64_t pass =
      model.forward_bytes(config.batch.batch_tokens, config.grid.sites.size(), true);
  const std::uint64_t held = resident_memory_bytes();  // the model, libraries, tokenizer
  reporter.note(fmt::format(
      "memory: {} in all ({} held by the model and the program, {} for {} SAEs of {} features, {} "
      "for the model's passes)",
      human_bytes(held + grid + pass), human_bytes(held), human_bytes(grid),
      config.grid.sites.size() * config.grid.ks.size(), config.grid.n_features, human_bytes(pass)));
  require_memory(grid + pass, "the grid of SAEs",
                 "train fewer SAEs at once, or smaller ones (--expansion)");
}

}  // namespace

std::string config_json(const RunConfig& config) {
  return describe(config).dump();
}

RunResult run_phase_one(RunConfig config, Reporter& reporter, std::stop_token stop) {
  const auto start = std::chrono::steady_clock::now();
  const auto [tokenizer, model] = load_text_model(config.model, config.load, reporter);
  const std::vector<Site> sites =
      parse_sites(config.sites, static_cast<int>(model.spec().n_layers));
  config.grid.sites.clear();
  for (const Site& site : sites) config.grid.sites.push_back(to_string(site));
  if (config.grid.n_features == 0)
    config.grid.n_features =
        std::llround(config.expansion * static_cast<double>(model.spec().d_model));
  // A feature that has not fired within a short budget is dead, long before the usual ten million
  // tokens.
  config.grid.trainer.dead_after_tokens = std::min(config.grid.trainer.dead_after_tokens,
                                                   static_cast<std::int64_t>(config.grid.n_tokens));

  const std::string hash = hash_hex(config_json(config));
  json manifest = read_manifest(config.out);
  prepare_folder(config, hash, manifest);
  RunResult result;

  if (!manifest.contains("train")) {
    state_memory(config, model, reporter);
    Harvester harvester(
        model, open_batches(config, tokenizer, Split::train),
        {.sites = sites, .block_rows = config.block_rows, .max_rows = config.grid.n_tokens});
    result.training = train_grid(harvester, config.grid, provenance_of(config, sites, model.spec()),
                                 config.out, hash, reporter, stop);
    warn_of_bad_lines(harvester.corpus_report(), reporter);
    manifest = {{"config", describe(config)},
                {"config_hash", hash},
                {"version", kVersion},
                {"train",
                 {{"tokens", result.training.tokens_trained},
                  {"model_seconds", result.training.source_seconds},
                  {"sae_seconds", result.training.sae_seconds}}}};
    write_file(config.out / "manifest.json", manifest.dump(2) + "\n");
  } else {
    reporter.note(fmt::format("{} is trained already; evaluating it", config.out.string()));
    result.training = {manifest["train"].value("tokens", std::uint64_t{0}),
                       manifest["train"].value("model_seconds", 0.0),
                       manifest["train"].value("sae_seconds", 0.0)};
  }

  const std::vector<EvaluationCell> cells =
      load_cells(config.out, static_cast<int>(model.spec().n_layers));
  result.cells = evaluate(model, open_batches(config, tokenizer, Split::held_out), cells,
                          config.evaluation, reporter);
  std::string lines;
  for (const CellResult& cell : result.cells) lines += to_json(cell) + "\n";
  write_file(config.out / "evaluation.jsonl", lines);
  result.total_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  manifest["evaluate"] = {{"n_tokens", config.evaluation.n_tokens},
                          {"n_loss_tokens", config.evaluation.n_loss_tokens}};
  write_file(config.out / "manifest.json", manifest.dump(2) + "\n");
  return result;
}

}  // namespace safesail
