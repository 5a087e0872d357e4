#include "train/evaluate.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "sae/checkpoint.h"
#include "sae/metrics.h"

namespace safesail {
namespace {

/// Rows of content tokens, as an index tensor.
at::Tensor content_rows(const TokenBatch& batch) {
  std::vector<std::int64_t> rows;
  for (std::size_t t = 0; t < batch.n_tokens(); ++t)
    if (batch.is_content[t] != 0) rows.push_back(static_cast<std::int64_t>(t));
  return at::tensor(rows, at::kLong);
}

/// Replaces the content rows of a site by what `replace` makes of them.
SiteEdit splice(const Site& site, const at::Tensor& rows,
                std::function<at::Tensor(const at::Tensor& x)> replace) {
  return {site, [rows, replace = std::move(replace)](at::Tensor& value) {
            const at::Tensor index = rows.to(value.device());
            const at::Tensor x = value.index_select(0, index);
            value.index_copy_(0, index, replace(x).to(value.device(), value.scalar_type()));
          }};
}

/// Sum of the losses of one batch under an edit; tokens without a successor count as 0.
double total_loss(const LanguageModel& model, const TokenBatch& batch,
                  std::vector<SiteEdit> edits) {
  const at::Tensor losses =
      model.next_token_loss({.ids = batch.ids, .starts = batch.starts, .edits = std::move(edits)});
  return losses.to(at::kDouble).sum().item<double>();
}

std::vector<Site> distinct_sites(const std::vector<EvaluationCell>& cells) {
  std::vector<Site> sites;
  for (const EvaluationCell& cell : cells)
    if (std::find(sites.begin(), sites.end(), cell.site) == sites.end()) sites.push_back(cell.site);
  return sites;
}

void add_losses(const LanguageModel& model, const TokenBatch& batch,
                const std::vector<EvaluationCell>& cells, std::vector<CellResult>& results) {
  const at::Tensor rows = content_rows(batch);
  const std::uint64_t n_predicted = batch.n_tokens() - batch.n_sequences();
  const double clean = total_loss(model, batch, {});
  struct Ablation {
    double zero, mean;
  };
  std::map<Site, Ablation> ablations;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const EvaluationCell& cell = cells[c];
    auto ablation = ablations.find(cell.site);
    if (ablation == ablations.end()) {
      const at::Tensor mean = at::tensor(cell.sae.transform().center);
      const double zero_loss = total_loss(
          model, batch,
          {splice(cell.site, rows, [](const at::Tensor& x) { return at::zeros_like(x); })});
      const double mean_loss =
          total_loss(model, batch, {splice(cell.site, rows, [&](const at::Tensor& x) {
                       return mean.to(x.device(), x.scalar_type()).expand_as(x);
                     })});
      ablation = ablations.emplace(cell.site, Ablation{zero_loss, mean_loss}).first;
    }
    SplicedLoss& loss = results[c].loss;
    loss.clean += clean;
    loss.zero_ablated += ablation->second.zero;
    loss.mean_ablated += ablation->second.mean;
    loss.spliced += total_loss(model, batch, {splice(cell.site, rows, [&](const at::Tensor& x) {
                                 return cell.sae.reconstruct(x.cpu(), fastest_selection());
                               })});
    loss.n_tokens += n_predicted;
  }
}

void add_reconstruction(const Sae& sae, const at::Tensor& x, StreamingMetrics& metrics) {
  const SparseCodes codes = sae.encode(x, fastest_selection());
  metrics.add(x, sae.decode(codes), codes);
}

void fill(const StreamingMetrics& metrics, CellResult& result) {
  result.n_tokens = metrics.n_tokens();
  result.fvu = metrics.fvu();
  result.l0 = metrics.l0();
  result.dead_share = metrics.dead_share();
}

/// Encodes one batch with every SAE; returns its content tokens.
std::uint64_t add_reconstructions(const LanguageModel& model, const TokenBatch& batch,
                                  const std::vector<Site>& sites,
                                  const std::vector<EvaluationCell>& cells,
                                  std::vector<StreamingMetrics>& metrics) {
  const at::Tensor rows = content_rows(batch);
  const ForwardResult forward =
      model.forward({.ids = batch.ids, .starts = batch.starts, .read = sites});
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const auto s = static_cast<std::size_t>(std::find(sites.begin(), sites.end(), cells[c].site) -
                                            sites.begin());
    const at::Tensor x = forward.sites[s].cpu().index_select(0, rows);
    add_reconstruction(cells[c].sae, x, metrics[c]);
  }
  return static_cast<std::uint64_t>(rows.size(0));
}

void divide(SplicedLoss& loss) {
  const double n = static_cast<double>(std::max<std::uint64_t>(loss.n_tokens, 1));
  for (double* sum : {&loss.clean, &loss.spliced, &loss.zero_ablated, &loss.mean_ablated})
    *sum /= n;
}

}  // namespace

std::vector<CellResult> evaluate(const LanguageModel& model, BatchStream batches,
                                 const std::vector<EvaluationCell>& cells,
                                 const EvaluationConfig& config, Reporter& reporter,
                                 std::stop_token stop) {
  const c10::InferenceMode inference;
  const std::vector<Site> sites = distinct_sites(cells);
  std::vector<StreamingMetrics> metrics;
  std::vector<CellResult> results;
  for (const EvaluationCell& cell : cells) {
    metrics.emplace_back(cell.sae.spec());
    results.push_back(
        {.site = to_string(cell.site), .k = cell.k, .n_features = cell.sae.spec().n_features});
  }
  // Progress counts what the model reads: the loss of a batch takes a pass clean, a pass an SAE,
  // and two a site.
  const std::uint64_t loss_passes = 1 + cells.size() + 2 * sites.size();
  const std::uint64_t total = config.n_tokens + config.n_loss_tokens * loss_passes;
  std::uint64_t n_tokens = 0, n_loss_tokens = 0;
  while (n_tokens < config.n_tokens || n_loss_tokens < config.n_loss_tokens) {
    if (stop.stop_requested())
      failed("evaluate", "stopped before the end", "run the same command again");
    const std::optional<TokenBatch> batch = batches.next();
    if (!batch) break;
    if (n_tokens < config.n_tokens)
      n_tokens += add_reconstructions(model, *batch, sites, cells, metrics);
    if (n_loss_tokens < config.n_loss_tokens) {
      add_losses(model, *batch, cells, results);
      n_loss_tokens += batch->n_tokens();
    }
    const std::uint64_t done = std::min(n_tokens, config.n_tokens) +
                               std::min(n_loss_tokens, config.n_loss_tokens) * loss_passes;
    reporter.progress("evaluate", done, total, "tokens read", "");
  }
  if (n_tokens == 0)
    bad_input("held-out documents", "expected some, the corpus has none",
              "use a larger corpus or a larger --held-out share");
  for (std::size_t c = 0; c < cells.size(); ++c) {
    fill(metrics[c], results[c]);
    divide(results[c].loss);
  }
  return results;
}

std::vector<CellResult> evaluate_reconstruction(BlockSource& source, const std::string& site,
                                                const std::vector<Sae>& saes) {
  const c10::InferenceMode inference;
  std::vector<StreamingMetrics> metrics;
  for (const Sae& sae : saes) metrics.emplace_back(sae.spec());
  while (const std::optional<ActivationBlock> block = source.next())
    for (std::size_t i = 0; i < saes.size(); ++i)
      add_reconstruction(saes[i], block->values.front().cpu(), metrics[i]);
  std::vector<CellResult> results;
  for (std::size_t i = 0; i < saes.size(); ++i) {
    CellResult& result = results.emplace_back();
    result.site = site;
    result.k = saes[i].spec().k;
    result.n_features = saes[i].spec().n_features;
    fill(metrics[i], result);
  }
  return results;
}

std::vector<EvaluationCell> load_cells(const fs::path& run, int n_layers) {
  std::vector<EvaluationCell> cells;
  if (fs::is_directory(run / "sae"))
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run / "sae")) {
      if (entry.path().filename() != "sae.safetensors") continue;
      LoadedSae loaded = load_sae(entry.path());
      const Site site = parse_site(loaded.provenance.site, n_layers);
      const std::int64_t k = loaded.sae.spec().k;
      cells.push_back({site, k, std::move(loaded.sae)});
    }
  if (cells.empty())
    bad_input((run / "sae").string(), "expected trained SAEs, got none",
              "train some first: safesail train");
  std::sort(cells.begin(), cells.end(), [](const EvaluationCell& a, const EvaluationCell& b) {
    return std::tie(a.site.layer, a.site.kind, a.k) < std::tie(b.site.layer, b.site.kind, b.k);
  });
  return cells;
}

std::string to_json(const CellResult& result) {
  nlohmann::json json{{"site", result.site},
                      {"k", result.k},
                      {"n_features", result.n_features},
                      {"n_tokens", result.n_tokens},
                      {"fvu", result.fvu},
                      {"l0", result.l0},
                      {"dead_share", result.dead_share}};
  if (result.loss.n_tokens > 0)
    json.update({{"n_loss_tokens", result.loss.n_tokens},
                 {"loss_clean", result.loss.clean},
                 {"loss_spliced", result.loss.spliced},
                 {"loss_zero_ablated", result.loss.zero_ablated},
                 {"loss_mean_ablated", result.loss.mean_ablated},
                 {"delta_loss", result.loss.delta()},
                 {"loss_recovered", result.loss.recovered()}});
  return json.dump();
}

}  // namespace safesail
