// The first half of an evaluation: reconstruction and sparsity of many SAEs on activations that
// come block by block. One thread; holds sums only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/metrics.h"
#include "train/evaluate.h"

namespace safesail {

/// Which of the tensors that come an SAE reads, and which it reconstructs.
struct Route {
  const Sae* sae;
  std::size_t input, output;
};

class ReconstructionPass {
 public:
  /// The SAEs of `routes` must outlive the pass.
  ReconstructionPass(std::vector<Route> routes, std::size_t n_sites);

  /// `sites`: [n_tokens, d] a site, on the CPU. `documents` [n_tokens], or empty where they are not
  /// known.
  void add(std::span<const at::Tensor> sites, std::span<const std::uint64_t> documents);

  /// [d] f64 of what a route reconstructs, over everything added.
  std::span<const double> mean(std::size_t route) const { return metrics_[route].mean(); }
  /// Fills all but the identity and the losses of the results, one a route.
  void fill(const EvaluationConfig& config, std::span<CellResult> results) const;

 private:
  // Columns of sums_: tokens; then squared deviation from the reference a site; then squared error
  // and active features a route.
  std::size_t deviation_column(std::size_t site) const { return 1 + site; }
  std::size_t error_column(std::size_t route) const { return 1 + n_sites_ + 2 * route; }
  std::size_t active_column(std::size_t route) const { return error_column(route) + 1; }

  std::vector<Route> routes_;
  std::size_t n_sites_;
  bool has_documents_ = false;
  std::vector<StreamingMetrics> metrics_;
  /// The mean of a site's first tokens: the mean of all is not known while documents are summed.
  std::vector<std::vector<double>> references_;
  DocumentSums sums_;
};

/// Reconstruction and sparsity alone, over all blocks of `source`; results in the order of
/// `routes`, which `ids` name. Intervals only where the source tells documents apart.
std::vector<CellResult> evaluate_reconstruction(BlockSource& source, std::vector<Route> routes,
                                                std::span<const SaeIdentity> ids,
                                                const EvaluationConfig& config);

}  // namespace safesail
