#include "train/evaluate.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "train/evaluate_losses.h"
#include "train/evaluate_reconstruction.h"

namespace safesail {
namespace {

void check_widths(const LanguageModel& model, const std::vector<EvaluationCell>& cells) {
  const std::int64_t d = model.spec().d_model;
  for (const EvaluationCell& cell : cells)
    if (const SaeSpec& spec = cell.sae.spec(); spec.d_in != d || spec.d_out != d)
      bad_input(cell.id.path.empty() ? site_name(cell.id) : cell.id.path,
                fmt::format("expected an SAE of the model's width {}, got {} to {}", d, spec.d_in,
                            spec.d_out),
                "evaluate it with the model that it was trained on");
}

/// Every site that a cell reads or reconstructs.
std::vector<Site> distinct_sites(const std::vector<EvaluationCell>& cells) {
  std::vector<Site> sites;
  for (const EvaluationCell& cell : cells)
    for (const Site& site : {cell.input, cell.output})
      if (std::ranges::find(sites, site) == sites.end()) sites.push_back(site);
  return sites;
}

std::vector<Route> routes_of(const std::vector<EvaluationCell>& cells,
                             const std::vector<Site>& sites) {
  const auto index = [&](const Site& site) {
    return static_cast<std::size_t>(std::ranges::find(sites, site) - sites.begin());
  };
  std::vector<Route> routes;
  for (const EvaluationCell& cell : cells)
    routes.push_back({&cell.sae, index(cell.input), index(cell.output)});
  return routes;
}

/// Adds the content tokens of a batch; returns how many they are.
std::uint64_t add_batch(const LanguageModel& model, const TokenBatch& batch,
                        const std::vector<Site>& sites, ReconstructionPass& pass) {
  std::vector<std::int64_t> rows;
  std::vector<std::uint64_t> documents;
  for (std::size_t t = 0; t < batch.n_tokens(); ++t) {
    if (batch.is_content[t] == 0) continue;
    rows.push_back(static_cast<std::int64_t>(t));
    documents.push_back(batch.document[t]);
  }
  if (rows.empty()) return 0;
  ForwardResult forward = model.forward({.ids = batch.ids, .starts = batch.starts, .read = sites});
  const at::Tensor index = at::tensor(rows, at::kLong);
  for (at::Tensor& value : forward.sites) value = value.cpu().index_select(0, index);
  pass.add(forward.sites, documents);
  return rows.size();
}

/// What was measured in training is the SAE's own centre; an imported SAE has none, so the mean is
/// that of the evaluation's tokens, the same for all.
std::map<Site, at::Tensor> means_of(const std::vector<EvaluationCell>& cells,
                                    const ReconstructionPass& pass) {
  std::map<Site, at::Tensor> means;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const std::span<const double> mean = pass.mean(c);
    means.try_emplace(cells[c].output,
                      at::tensor(at::ArrayRef<double>(mean.data(), mean.size()), at::kFloat));
  }
  return means;
}

void add_agreement(const std::vector<EvaluationCell>& cells, std::vector<CellResult>& results) {
  for (std::size_t a = 0; a < cells.size(); ++a)
    for (std::size_t b = a + 1; b < cells.size(); ++b) {
      if (!alike(cells[a].id, cells[b].id) || cells[a].id.seed == cells[b].id.seed) continue;
      const FeatureAgreement agreement = feature_agreement(cells[a].sae, cells[b].sae);
      results[a].agreement.push_back({cells[b].id.seed, agreement});
      results[b].agreement.push_back(
          {cells[a].id.seed,
           {agreement.mean_max_cosine_back, agreement.mean_max_cosine, agreement.matched_share}});
    }
}

/// What the passes over a batch hold at their highest besides model and SAEs.
std::uint64_t batch_bytes(const LanguageModel& model, const std::vector<EvaluationCell>& cells,
                          std::size_t n_sites, std::size_t n_tokens, bool losses) {
  std::uint64_t coding = 0;
  for (const EvaluationCell& cell : cells)
    coding = std::max(coding, cell.sae.coding_bytes(static_cast<std::int64_t>(n_tokens)));
  const std::uint64_t values = n_tokens * static_cast<std::uint64_t>(model.spec().d_model);
  // x and xhat while they are compared in f64.
  const std::uint64_t comparing = 3 * sizeof(double) * values;
  const std::uint64_t reading =
      model.forward_bytes(static_cast<std::int64_t>(n_tokens), 2 * n_sites, false);
  return std::max(coding + comparing + reading,
                  losses ? coding + comparing + LossPass::bytes(model, n_sites, n_tokens) : 0);
}

void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested())
    failed("evaluate", "stopped before the end", "run the same command again");
}

}  // namespace

std::vector<CellResult> evaluate(const LanguageModel& model, BatchStream batches,
                                 const std::vector<EvaluationCell>& cells,
                                 const EvaluationConfig& config, Reporter& reporter,
                                 std::stop_token stop) {
  const c10::InferenceMode inference;
  check_widths(model, cells);
  const std::vector<Site> sites = distinct_sites(cells);
  ReconstructionPass reconstruction(routes_of(cells, sites), sites.size());
  std::vector<TokenBatch> for_losses;
  std::uint64_t n_tokens = 0, n_loss_tokens = 0;
  while (n_tokens < config.n_tokens || n_loss_tokens < config.n_loss_tokens) {
    check_stop(stop);
    const std::optional<TokenBatch> batch = batches.next();
    if (!batch) break;
    if (n_tokens == 0)
      state_memory(
          "model, SAEs and program",
          {{batch_bytes(model, cells, sites.size(), batch->n_tokens(), config.n_loss_tokens > 0),
            "the passes over a batch"}},
          "the evaluation", "evaluate fewer SAEs at once, or lower --batch-tokens", reporter);
    n_tokens += add_batch(model, *batch, sites, reconstruction);
    reporter.progress("evaluate", std::min(n_tokens, config.n_tokens), config.n_tokens, "tokens",
                      "reconstruction");
    if (n_loss_tokens >= config.n_loss_tokens) continue;
    n_loss_tokens += batch->n_tokens();
    for_losses.push_back(*batch);
  }
  if (n_tokens == 0)
    bad_input("held-out documents", "expected some, the corpus has none",
              "use a larger corpus or a larger --held-out share");

  std::vector<CellResult> results(cells.size());
  for (std::size_t c = 0; c < cells.size(); ++c) results[c].id = cells[c].id;
  reconstruction.fill(config, results);
  if (!for_losses.empty()) {
    const std::map<Site, at::Tensor> means = means_of(cells, reconstruction);
    LossPass losses(model, cells, means);
    std::uint64_t done = 0;
    for (const TokenBatch& batch : for_losses) {
      check_stop(stop);
      losses.add(batch);
      done += batch.n_tokens();
      reporter.progress("losses", done, n_loss_tokens, "tokens",
                        fmt::format("{} SAEs spliced in", cells.size()));
    }
    losses.fill(config, results);
  }
  add_agreement(cells, results);
  return results;
}

}  // namespace safesail
