#include "train/evaluate_losses.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <limits>
#include <numeric>

#include "sae/metrics.h"

namespace safesail {
namespace {

/// Edits whose final hidden states are held together; their clean logits are made once.
constexpr std::size_t kEditsAtOnce = 8;

void insert(std::vector<Site>& sites, const Site& site) {
  if (std::ranges::find(sites, site) == sites.end()) sites.push_back(site);
}

std::vector<Site> output_sites(const std::vector<EvaluationCell>& cells) {
  std::vector<Site> sites;
  for (const EvaluationCell& cell : cells) insert(sites, cell.output);
  return sites;
}

Site start_of_layer(const Site& site) {
  return {SiteKind::resid_pre, site.layer};
}

std::size_t bucket_of(std::int32_t position) {
  const auto above = std::ranges::upper_bound(LossPass::kBuckets, position);
  return static_cast<std::size_t>(above - LossPass::kBuckets.begin()) - 1;
}

/// [n_tokens] how many tokens of its sequence the model has read before each. Less than its
/// position in the document where that was cut.
std::vector<std::int32_t> context_of(const TokenBatch& batch) {
  std::vector<std::int32_t> context(batch.n_tokens());
  for (std::size_t s = 0; s < batch.n_sequences(); ++s)
    std::iota(context.begin() + batch.starts[s], context.begin() + batch.starts[s + 1], 0);
  return context;
}

/// Calls body(t) for every token that has a next one in its sequence.
template <class Body>
void for_predictions(const TokenBatch& batch, const Body& body) {
  for (std::size_t s = 0; s < batch.n_sequences(); ++s)
    for (std::int32_t t = batch.starts[s]; t + 1 < batch.starts[s + 1]; ++t)
      body(static_cast<std::size_t>(t));
}

}  // namespace

/// Of one batch: all that is read, the rows of content tokens, and what enters the head.
struct LossPass::CleanPass {
  std::vector<at::Tensor> sites;
  at::Tensor rows, hidden;
};

LossPass::LossPass(const LanguageModel& model, const std::vector<EvaluationCell>& cells,
                   const std::map<Site, at::Tensor>& means)
    : model_(model),
      cells_(cells),
      means_(means),
      ablated_(output_sites(cells)),
      sums_(2 + 2 * n_edits()),
      positions_(cells.size()) {
  for (const EvaluationCell& cell : cells)
    for (const Site& site : {cell.input, cell.output, start_of_layer(cell.output)})
      insert(read_, site);
}

std::uint64_t LossPass::bytes(const LanguageModel& model, std::size_t n_sites,
                              std::size_t n_tokens) {
  // A pass with all that is read; what the edits held together end in, and their differences.
  const std::uint64_t hidden = n_tokens * static_cast<std::uint64_t>(model.spec().d_model) *
                               (model.options().dtype == ComputeType::bf16 ? 2 : 4);
  return model.forward_bytes(static_cast<std::int64_t>(n_tokens), 2 * n_sites, true) +
         (2 * kEditsAtOnce + 1) * hidden;
}

std::size_t LossPass::edit_of_zero(const Site& site) const {
  return 2 * static_cast<std::size_t>(std::ranges::find(ablated_, site) - ablated_.begin());
}

const Site& LossPass::site_of(std::size_t edit) const {
  return edit < 2 * ablated_.size() ? ablated_[edit / 2]
                                    : cells_[edit - 2 * ablated_.size()].output;
}

LossPass::CleanPass LossPass::run_clean(const TokenBatch& batch) const {
  std::vector<std::int64_t> rows;
  for (std::size_t t = 0; t < batch.n_tokens(); ++t)
    if (batch.is_content[t] != 0) rows.push_back(static_cast<std::int64_t>(t));
  ForwardResult forward =
      model_.forward({.ids = batch.ids, .starts = batch.starts, .read = read_, .hidden = true});
  return {std::move(forward.sites), at::tensor(rows, at::kLong), *forward.hidden};
}

void LossPass::add(const TokenBatch& batch) {
  const CleanPass clean = run_clean(batch);
  std::vector<at::Tensor> edited;
  for (std::size_t edit = 0; edit < n_edits(); ++edit) {
    const Site& site = site_of(edit);
    const at::Tensor content = replacement(edit, batch, clean);
    const SiteEdit splice{site, [&](at::Tensor& value) {
                            value.index_copy_(0, clean.rows.to(value.device()),
                                              content.to(value.device(), value.scalar_type()));
                          }};
    const auto start = std::ranges::find(read_, start_of_layer(site)) - read_.begin();
    edited.push_back(*model_
                          .forward({.ids = batch.ids,
                                    .starts = batch.starts,
                                    .edits = {splice},
                                    .hidden = true,
                                    .residual = &clean.sites[static_cast<std::size_t>(start)],
                                    .first_layer = site.layer})
                          .hidden);
    if (edited.size() == kEditsAtOnce || edit + 1 == n_edits()) {
      compare(batch, clean, edit + 1 - edited.size(), edited);
      edited.clear();
    }
  }
}

at::Tensor LossPass::replacement(std::size_t edit, const TokenBatch& batch,
                                 const CleanPass& clean) {
  const auto rows_of = [&](const Site& site) {
    const auto s = static_cast<std::size_t>(std::ranges::find(read_, site) - read_.begin());
    return clean.sites[s].cpu().index_select(0, clean.rows);
  };
  const at::Tensor& mean = means_.at(site_of(edit));
  if (edit < edit_of_cell(0)) {
    const at::Tensor fill = edit % 2 == 0 ? at::zeros_like(mean) : mean;
    return fill.expand({clean.rows.size(0), mean.size(0)});
  }
  const std::size_t c = edit - edit_of_cell(0);
  const EvaluationCell& cell = cells_[c];
  const at::Tensor x = rows_of(cell.output);
  const at::Tensor xhat = cell.sae.reconstruct(rows_of(cell.input), fastest_selection());
  const std::vector<double> errors = squared_distances(x, xhat);
  const std::vector<double> deviations = squared_distances(x, mean);
  const std::int64_t* row = clean.rows.const_data_ptr<std::int64_t>();
  const std::vector<std::int32_t> context = context_of(batch);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    PositionSums& sums = positions_[c][bucket_of(context[static_cast<std::size_t>(row[i])])];
    sums.error += errors[i];
    sums.deviation += deviations[i];
  }
  return xhat;
}

void LossPass::compare(const TokenBatch& batch, const CleanPass& clean, std::size_t first_edit,
                       std::span<const at::Tensor> edited) {
  const PredictionChanges changes = model_.compare_next_tokens(batch, clean.hidden, edited);
  const std::vector<std::int32_t> context = context_of(batch);
  for_predictions(batch, [&](std::size_t t) {
    const std::span<double> row = sums_.of(batch.document[t]);
    if (first_edit == 0) {
      row[0] += 1;
      row[1] += changes.clean_loss[t];
    }
    for (std::size_t e = 0; e < edited.size(); ++e) {
      const double loss = changes.edited[e].loss[t], kl = changes.edited[e].kl[t];
      row[loss_column(first_edit + e)] += loss;
      row[kl_column(first_edit + e)] += kl;
      if (first_edit + e < edit_of_cell(0)) continue;
      PositionSums& sums = positions_[first_edit + e - edit_of_cell(0)][bucket_of(context[t])];
      ++sums.n_predicted;
      sums.delta += loss - changes.clean_loss[t];
      sums.kl += kl;
    }
  });
}

void LossPass::fill(const EvaluationConfig& config, std::span<CellResult> results) const {
  const Bootstrap bootstrap(sums_, config.n_resamples, config.seed);
  const auto mean = [&](std::size_t column) {
    return bootstrap.estimate([=](std::span<const double> s) { return s[column] / s[0]; });
  };
  /// How much of what `ablated` loses comes back.
  const auto recovered = [&](std::size_t spliced, std::size_t ablated) {
    return bootstrap.estimate(
        [=](std::span<const double> s) { return (s[ablated] - s[spliced]) / (s[ablated] - s[1]); });
  };
  for (std::size_t c = 0; c < cells_.size(); ++c) {
    const std::size_t edit = edit_of_cell(c), zero = edit_of_zero(cells_[c].output);
    const std::size_t spliced = loss_column(edit);
    SplicedLoss& loss = results[c].loss;
    loss.clean = mean(1);
    loss.spliced = mean(spliced);
    loss.zero_ablated = mean(loss_column(zero));
    loss.mean_ablated = mean(loss_column(zero + 1));
    loss.delta =
        bootstrap.estimate([=](std::span<const double> s) { return (s[spliced] - s[1]) / s[0]; });
    loss.kl = mean(kl_column(edit));
    loss.kl_zero_ablated = mean(kl_column(zero));
    loss.kl_mean_ablated = mean(kl_column(zero + 1));
    loss.recovered = recovered(spliced, loss_column(zero));
    loss.recovered_from_mean = recovered(spliced, loss_column(zero + 1));
    for (std::size_t b = 0; b < kBuckets.size(); ++b) {
      const PositionSums& sums = positions_[c][b];
      if (sums.n_predicted == 0) continue;
      const auto n = static_cast<double>(sums.n_predicted);
      loss.n_tokens += sums.n_predicted;
      loss.by_position.push_back({.first = kBuckets[b],
                                  .last = b + 1 < kBuckets.size()
                                              ? kBuckets[b + 1] - 1
                                              : std::numeric_limits<std::int32_t>::max(),
                                  .n_tokens = sums.n_predicted,
                                  .delta = sums.delta / n,
                                  .kl = sums.kl / n,
                                  .fvu = sums.error / sums.deviation});
    }
  }
}

}  // namespace safesail
