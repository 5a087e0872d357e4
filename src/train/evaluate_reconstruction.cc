#include "train/evaluate_reconstruction.h"

#include <ATen/ATen.h>
#include <cmath>
#include <optional>
#include <utility>

namespace safesail {
namespace {

std::vector<double> mean_of(const at::Tensor& x) {
  const at::Tensor mean = x.to(at::kDouble).mean(0);
  return {mean.const_data_ptr<double>(), mean.const_data_ptr<double>() + mean.numel()};
}

}  // namespace

ReconstructionPass::ReconstructionPass(std::vector<Route> routes, std::size_t n_sites)
    : routes_(std::move(routes)), n_sites_(n_sites), sums_(1 + n_sites + 2 * routes_.size()) {
  for (const Route& route : routes_) metrics_.emplace_back(route.sae->spec());
}

void ReconstructionPass::add(std::span<const at::Tensor> sites,
                             std::span<const std::uint64_t> documents) {
  has_documents_ = !documents.empty();
  if (references_.empty())
    for (const at::Tensor& x : sites) references_.push_back(mean_of(x));
  const auto n_tokens = static_cast<std::size_t>(sites.front().size(0));
  const auto document = [&](std::size_t t) { return has_documents_ ? documents[t] : 0; };
  for (std::size_t t = 0; t < n_tokens; ++t) sums_.of(document(t))[0] += 1;
  for (std::size_t s = 0; s < sites.size(); ++s) {
    const at::Tensor reference = at::tensor(references_[s], at::kDouble);
    const std::vector<double> deviations = squared_distances(sites[s], reference);
    for (std::size_t t = 0; t < n_tokens; ++t)
      sums_.of(document(t))[deviation_column(s)] += deviations[t];
  }
  for (std::size_t r = 0; r < routes_.size(); ++r) {
    const auto& [sae, input, output] = routes_[r];
    const SparseCodes codes = sae->encode(sites[input], fastest_selection());
    const std::vector<double> errors =
        metrics_[r].add(sites[output], sae->decode(codes, sites[input]), codes);
    for (std::size_t t = 0; t < n_tokens; ++t) {
      const std::span<double> row = sums_.of(document(t));
      row[error_column(r)] += errors[t];
      row[active_column(r)] += static_cast<double>(codes.offsets[t + 1] - codes.offsets[t]);
    }
  }
}

void ReconstructionPass::fill(const EvaluationConfig& config, std::span<CellResult> results) const {
  const Bootstrap bootstrap(sums_, config.n_resamples, config.seed);
  for (std::size_t r = 0; r < routes_.size(); ++r) {
    const StreamingMetrics& metrics = metrics_[r];
    CellResult& result = results[r];
    result.n_tokens = metrics.n_tokens();
    result.n_documents = has_documents_ ? sums_.n_documents() : 0;
    // sum |x - mean|^2 from sums about the reference; a resample's mean is taken to be the
    // corpus's.
    const std::size_t site = routes_[r].output;
    const double moved = squared_distance(metrics.mean(), references_[site]);
    result.fvu = bootstrap.estimate([&](std::span<const double> sums) {
      return sums[error_column(r)] / (sums[deviation_column(site)] - sums[0] * moved);
    });
    result.fvu.value = metrics.fvu();
    result.l0 = bootstrap.estimate(
        [&](std::span<const double> sums) { return sums[active_column(r)] / sums[0]; });
    result.l0_quantiles = {metrics.l0_quantile(0.05), metrics.l0_quantile(0.5),
                           metrics.l0_quantile(0.95)};
    result.dead_share = metrics.dead_share();
    result.scale_to_fit = metrics.scale_to_fit();
    result.norm_ratio = metrics.norm_ratio();
    result.cosine = metrics.cosine();
    result.density = metrics.density_histogram(kDensityBins, kLowestDensity);
    result.n_never_fired = std::llround(metrics.dead_share() * double(result.id.n_features));
  }
}

std::vector<CellResult> evaluate_reconstruction(BlockSource& source, std::vector<Route> routes,
                                                std::span<const SaeIdentity> ids,
                                                const EvaluationConfig& config) {
  const c10::InferenceMode inference;
  std::vector<CellResult> results(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) results[i].id = ids[i];
  std::optional<ReconstructionPass> pass;
  while (std::optional<ActivationBlock> block = source.next()) {
    for (at::Tensor& value : block->values) value = value.cpu();
    if (!pass) pass.emplace(std::exchange(routes, {}), block->values.size());
    pass->add(block->values, block->document);
  }
  if (pass) pass->fill(config, results);
  return results;
}

}  // namespace safesail
