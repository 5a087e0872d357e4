#include "train/grid_training.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/units.h"
#include "formats/json.h"
#include "harvest/peek.h"

namespace safesail {
namespace {

using nlohmann::json;

constexpr std::int64_t kGoldenRows = 64;

/// Rows whose activations are within the limits of both sites; undefined when all are.
at::Tensor rows_within(const at::Tensor& x, double x_limit, const at::Tensor& y, double y_limit) {
  const auto within = [](const at::Tensor& values, double limit) {
    return at::linalg_vector_norm(values, 2, {1}, false, at::kFloat).le(limit);
  };
  const at::Tensor keep = at::logical_and(within(x, x_limit), within(y, y_limit));
  return keep.all().item<bool>() ? at::Tensor() : keep.nonzero().flatten();
}

}  // namespace

GridTraining::GridTraining(const GridConfig& config, const SiteProvenance& provenance,
                           const fs::path& run, const std::string& config_hash, Reporter& reporter)
    : config_(config),
      provenance_(provenance),
      run_(run),
      config_hash_(config_hash),
      reporter_(reporter),
      history_(config.cells.size()),
      sums_(config.cells.size()),
      n_steps_(config.cells.size()) {
  for (std::size_t cell = 0; cell < config.cells.size(); ++cell) {
    const std::size_t in = site_index(config.cells[cell].site),
                      out = site_index(config.cells[cell].output_site);
    auto group = std::find_if(groups_.begin(), groups_.end(),
                              [&](const Group& g) { return g.in == in && g.out == out; });
    if (group == groups_.end()) group = groups_.insert(groups_.end(), {in, out, {}, {}});
    group->cells.push_back(cell);
  }
}

std::size_t GridTraining::site_index(const std::string& name) const {
  const auto found = std::find(config_.sites.begin(), config_.sites.end(), name);
  SAFESAIL_CHECK(found != config_.sites.end());
  return static_cast<std::size_t>(found - config_.sites.begin());
}

bool GridTraining::resume() {
  std::optional<GridProgress> progress =
      load_checkpoint(run_, config_hash_, config_.cells, reporter_);
  if (!progress) return false;
  progress_ = std::move(*progress);
  const std::string where = (run_ / "checkpoints").string();
  if (!progress_.norm_limits.empty() && progress_.norm_limits.size() != config_.sites.size())
    bad_input(where, "expected a norm limit for each site", "start over with --force");
  std::map<std::string, std::size_t> by_folder;
  for (std::size_t cell = 0; cell < config_.cells.size(); ++cell)
    by_folder[config_.cells[cell].folder] = cell;
  try {
    std::istringstream lines(progress_.metrics);
    for (std::string line; std::getline(lines, line);) {
      const json record = json::parse(line);
      history_.at(by_folder.at(record.at("sae")))
          .push_back({.tokens = record.at("tokens"),
                      .loss = record.at("loss"),
                      .fvu = record.at("fvu"),
                      .l0 = record.at("l0"),
                      .dead_share = record.at("dead_share")});
    }
  } catch (const std::exception& error) {
    bad_input(where, fmt::format("expected the log of this run: {}", error.what()),
              "start over with --force");
  }
  take_transforms();
  reporter_.note(fmt::format("going on from the checkpoint at {} tokens",
                             human_count(static_cast<double>(progress_.tokens))));
  return true;
}

void GridTraining::start(Peek& source, const TokenText& token_text) {
  std::vector<const ActivationBlock*> sample;
  for (const ActivationBlock& block : source.peek(config_.sample_tokens)) sample.push_back(&block);
  if (sample.empty())
    bad_input("corpus", "expected at least one block of activations to train on, got none",
              "name a corpus with text in it");
  std::vector<SiteStatistics> sites;
  json all = json::array();
  for (std::size_t s = 0; s < config_.sites.size(); ++s) {
    const SiteStatistics& site = sites.emplace_back(measure_site(config_.sites[s], s, sample));
    reporter_.note(describe(site, token_text));
    all.push_back(to_json(site, token_text));
    if (config_.drop_sinks > 0)
      progress_.norm_limits.push_back(config_.drop_sinks * site.median_norm());
    else if (site.n_sinks > 0)
      reporter_.warn(
          fmt::format("{}: attention sinks can take much of an SAE's capacity; "
                      "--drop-sinks {} leaves them out of training",
                      site.site, kSinkRatio));
  }
  write_file(run_ / "sites.json", dump_json(all, {.indent = 2}) + "\n");
  for (const GridCell& cell : config_.cells)
    progress_.cells.emplace_back().trainer.emplace(
        Sae::random(cell.spec, sites[site_index(cell.site)].transform,
                    sites[site_index(cell.output_site)].transform, cell.seed),
        cell.trainer);
  take_transforms();
}

void GridTraining::take_transforms() {
  for (Group& group : groups_)
    for (const std::size_t cell : group.cells) {
      const std::optional<SaeTrainer>& trainer = progress_.cells[cell].trainer;
      if (!trainer || !group.transforms.empty()) continue;
      group.transforms = {trainer->sae().transform(), trainer->sae().output_transform()};
    }
}

void GridTraining::train_on(const ActivationBlock& block, double waited) {
  const c10::InferenceMode inference;
  golden_.clear();
  for (const at::Tensor& value : block.values)
    golden_.push_back(value.slice(0, 0, std::min(kGoldenRows, value.size(0))).cpu().clone());
  const Clock::time_point start = Clock::now();
  for (const Group& group : groups_) train_group(group, block);
  progress_.sae_seconds += seconds_since(start);
  progress_.model_seconds += block.seconds;
  progress_.waiting_seconds += waited;
  progress_.tokens += block.n_rows();
  ++progress_.n_blocks;
  record_and_judge();
  show();
}

void GridTraining::train_group(const Group& group, const ActivationBlock& block) {
  if (group.transforms.empty()) return;  // no SAE is left
  at::Tensor x = block.values[group.in].cpu();
  at::Tensor y = group.in == group.out ? x : block.values[group.out].cpu();
  if (!progress_.norm_limits.empty()) {
    const at::Tensor rows =
        rows_within(x, progress_.norm_limits.at(group.in), y, progress_.norm_limits.at(group.out));
    if (rows.defined()) {
      x = x.index_select(0, rows);
      y = group.in == group.out ? x : y.index_select(0, rows);
    }
  }
  // Equal batches, as near to batch_tokens as the block allows: no small rest at its end.
  const std::int64_t n = x.size(0);
  if (n == 0) return;
  const std::int64_t n_batches =
      std::max<std::int64_t>(1, (n + config_.batch_tokens / 2) / config_.batch_tokens);
  for (std::int64_t b = 0; b < n_batches; ++b) {
    const std::int64_t begin = n * b / n_batches, end = n * (b + 1) / n_batches;
    const at::Tensor z = group.transforms[0].apply(x.slice(0, begin, end));
    const at::Tensor target =
        group.in == group.out ? at::Tensor() : group.transforms[1].apply(y.slice(0, begin, end));
    // The schedules at the middle of the batch: at its start the first step would have a rate of 0.
    for (const std::size_t cell : group.cells)
      step(cell, z, target, progress_.tokens + static_cast<std::uint64_t>((begin + end) / 2));
  }
}

void GridTraining::step(std::size_t cell, const at::Tensor& z, const at::Tensor& target,
                        std::uint64_t tokens_seen) {
  CellProgress& state = progress_.cells[cell];
  if (!state.trainer) return;
  const SaeSpec& spec = config_.cells[cell].spec;
  const double lr = learning_rate(config_, spec.n_features, tokens_seen);
  const StepSettings settings{.lr = lr,
                              .k = annealed_k(config_, spec, tokens_seen),
                              .pace = lr / peak_learning_rate(config_, spec.n_features)};
  const Clock::time_point start = Clock::now();
  StepReport report;
  try {
    report = target.defined() ? state.trainer->step(z, target, settings)
                              : state.trainer->step(z, settings);
  } catch (const Error& error) {
    stop_cell(cell, error.problem() + "; " + error.remedy());
    return;
  }
  state.seconds += seconds_since(start);
  sums_[cell].loss += report.loss;
  sums_[cell].fvu += report.fvu;
  sums_[cell].l0 += report.l0;
  sums_[cell].dead_share =
      static_cast<double>(report.n_dead) / static_cast<double>(spec.n_features);
  ++n_steps_[cell];
}

void GridTraining::record_and_judge() {
  const auto tokens = static_cast<double>(config_.n_tokens);
  for (std::size_t cell = 0; cell < config_.cells.size(); ++cell) {
    TrainingRecord record = std::exchange(sums_[cell], {});
    const auto n = static_cast<double>(std::exchange(n_steps_[cell], 0));
    if (!progress_.cells[cell].trainer || n == 0) continue;
    record.tokens = progress_.tokens;
    record.loss /= n;
    record.fvu /= n;
    record.l0 /= n;
    const GridCell& what = config_.cells[cell];
    json line{
        {"tokens", record.tokens},
        {"sae", what.folder},
        {"site", what.site},
        {"architecture", what.spec.architecture},
        {"k", what.spec.k},
        {"n_features", what.spec.n_features},
        {"seed", what.seed},
        {"loss", record.loss},
        {"fvu", record.fvu},
        {"l0", record.l0},
        {"dead_share", record.dead_share},
        {"n_dead", std::llround(record.dead_share * static_cast<double>(what.spec.n_features))}};
    if (what.output_site != what.site) line["output_site"] = what.output_site;
    // A line that JSON cannot hold could not be read back by a resume.
    if (std::isfinite(record.loss) && std::isfinite(record.fvu)) {
      progress_.metrics += dump_json(line) + "\n";
      progress_.cells[cell].fvu = record.fvu;
      progress_.cells[cell].l0 = record.l0;
    }
    history_[cell].push_back(record);
    const std::string cause =
        trouble(history_[cell],
                {.n_tokens = config_.n_tokens,
                 .warmup_tokens = static_cast<std::uint64_t>(config_.warmup_share * tokens),
                 .dead_after_tokens = static_cast<std::uint64_t>(what.trainer.dead_after_tokens)});
    if (!cause.empty()) stop_cell(cell, cause);
  }
}

void GridTraining::stop_cell(std::size_t cell, const std::string& cause) {
  CellProgress& state = progress_.cells[cell];
  state.trainer.reset();
  state.stopped = cause;
  state.stopped_at = progress_.tokens;
  const GridCell& what = config_.cells[cell];
  json record{{"sae", what.folder}, {"cause", cause}, {"tokens", state.stopped_at}};
  std::string kept = "there was no checkpoint yet";
  if (const auto best = best_of_cell(run_, what, cell); best && !golden_.empty()) {
    save_cell("last_good.safetensors", cell, best->trainer);
    record["last_good"] = {{"file", "last_good.safetensors"}, {"tokens", best->tokens}};
    kept = fmt::format("its state at {} tokens is kept",
                       human_count(static_cast<double>(best->tokens)));
  }
  write_file(what.file(run_, "stopped.json"), dump_json(record, {.indent = 2}) + "\n");
  reporter_.warn(fmt::format("{} is stopped: {}; {}", what.folder, cause, kept));
}

void GridTraining::show() const {
  double fvu = 0, n = 0;
  for (const CellProgress& cell : progress_.cells)
    if (cell.trainer) fvu += cell.fvu, ++n;
  fvu /= std::max(n, 1.);
  reporter_.curve("mean FVU", fvu);
  const auto tokens = static_cast<double>(progress_.tokens);
  const std::string model =
      progress_.model_seconds > 0
          ? fmt::format("model {}/s, ", human_count(tokens / progress_.model_seconds))
          : "";
  reporter_.progress("train", std::min(progress_.tokens, config_.n_tokens), config_.n_tokens,
                     "tokens",
                     fmt::format("{}SAEs {}/s, mean FVU {:.3f}", model,
                                 human_count(tokens / std::max(progress_.sae_seconds, 1e-9)), fvu));
}

void GridTraining::save() {
  // What is written must be fit to go on from.
  for (std::size_t cell = 0; cell < config_.cells.size(); ++cell)
    if (progress_.cells[cell].trainer && !progress_.cells[cell].trainer->is_finite())
      stop_cell(cell, "its weights or their moments are no longer finite; lower the learning rate");
  save_checkpoint(run_, config_hash_, config_.cells, progress_, config_.keep_checkpoints);
  write_file(run_ / "metrics.jsonl", progress_.metrics);
}

void GridTraining::save_cell(const char* name, std::size_t cell, const SaeTrainer& trainer) const {
  const GridCell& what = config_.cells[cell];
  SaeProvenance provenance = provenance_[site_index(what.site)];
  if (what.output_site != what.site) provenance.output_site = what.output_site;
  provenance.seed = what.seed;
  provenance.tokens_trained = trainer.n_tokens();
  save_sae(what.file(run_, name), trainer.sae(), provenance, golden_[site_index(what.site)]);
}

void GridTraining::finish() const {
  if (golden_.empty())
    bad_input("corpus", "expected to find the text where the interrupted run stopped, got the end",
              "the corpus has become shorter; start over with --force");
  for (std::size_t cell = 0; cell < config_.cells.size(); ++cell)
    if (progress_.cells[cell].trainer)
      save_cell("sae.safetensors", cell, *progress_.cells[cell].trainer);
  write_file(run_ / "metrics.jsonl", progress_.metrics);
}

bool GridTraining::finished() const {
  return progress_.tokens >= config_.n_tokens ||
         std::ranges::all_of(progress_.cells, [](const auto& cell) { return !cell.trainer; });
}

GridResult GridTraining::result() const {
  GridResult result{.tokens_trained = progress_.tokens,
                    .source_seconds = progress_.model_seconds,
                    .waiting_seconds = progress_.waiting_seconds,
                    .sae_seconds = progress_.sae_seconds,
                    .cells = {}};
  for (std::size_t cell = 0; cell < config_.cells.size(); ++cell) {
    const CellProgress& state = progress_.cells[cell];
    result.cells.push_back({.folder = config_.cells[cell].folder,
                            .seconds = state.seconds,
                            .stopped = state.stopped,
                            .tokens = state.trainer ? progress_.tokens : state.stopped_at});
  }
  return result;
}

}  // namespace safesail
