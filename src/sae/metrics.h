// Reconstruction and sparsity over a whole corpus, block by block. Everything is summed in f64, so
// the result does not depend on how the corpus was cut beyond f64 rounding. Not thread-safe;
// merge() joins the parts of several threads or ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/moments.h"
#include "sae/sae.h"

namespace safesail {

class StreamingMetrics {
 public:
  explicit StreamingMetrics(const SaeSpec& spec);

  /// x, xhat [n_tokens, d_model] f32 or bf16; `codes` those of the same tokens.
  void add(const at::Tensor& x, const at::Tensor& xhat, const SparseCodes& codes);
  void merge(const StreamingMetrics& other);

  std::int64_t n_tokens() const { return moments_.n_tokens(); }
  /// sum |x - xhat|^2 / sum |x - mean x|^2, the mean over everything added.
  double fvu() const;
  /// Mean squared error a token, summed over dimensions, in x space.
  double mse() const;
  /// Mean active features a token.
  double l0() const;
  /// Share of features that never fired.
  double dead_share() const;
  /// [n_features] tokens on which each feature fired.
  std::span<const std::int64_t> n_fired() const { return n_fired_; }
  /// Share of tokens on which `feature` fired.
  double density(std::int64_t feature) const;

  /// How many features have log10(density) in each of `n_bins` equal bins of [lowest, 0]; bin 0
  /// also takes everything rarer. Features that never fired are left out.
  std::vector<std::int64_t> density_histogram(int n_bins, double lowest = -7) const;

 private:
  std::int64_t n_active_ = 0;
  double squared_error_ = 0;
  RunningMoments moments_;
  std::vector<std::int64_t> n_fired_;
};

}  // namespace safesail
