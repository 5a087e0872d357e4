// Reconstruction and sparsity over a whole corpus, block by block. Everything is summed in f64
// about running means, so the result does not depend on how the corpus was cut beyond f64 rounding.
// Not thread-safe. Definitions and their sources: docs/evaluation.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/sae.h"

namespace safesail {

/// |a - b|^2; of equal length.
double squared_distance(std::span<const double> a, std::span<const double> b);
/// |a - b|^2 of each row, f64; `a` [n_tokens, d], `b` the same or one row for all.
std::vector<double> squared_distances(const at::Tensor& a, const at::Tensor& b);

/// What two sets of vectors, x and xhat, have in common; sums about the mean of each.
struct FitSums {
  std::int64_t n_tokens = 0;
  std::vector<double> mean_x, mean_xhat;       ///< [d], empty before the first token
  double squared_error = 0;                    ///< sum |x - xhat|^2
  double deviation_x = 0, deviation_xhat = 0;  ///< sum |x - its mean|^2, the same of xhat
  double codeviation = 0;                      ///< sum <x - its mean, xhat - its mean>
  double norm_ratios = 0, cosines = 0;         ///< sum |xhat| / |x|, sum cos(x, xhat)
  std::int64_t n_not_zero = 0;                 ///< tokens in the line above: x is not 0

  void merge(const FitSums& other);
};

class StreamingMetrics {
 public:
  explicit StreamingMetrics(const SaeSpec& spec);

  /// x (what is to be reconstructed), xhat [n_tokens, d_out] f32 or bf16 on the CPU; `codes` those
  /// of the same tokens. Returns |x - xhat|^2 of each token.
  std::vector<double> add(const at::Tensor& x, const at::Tensor& xhat, const SparseCodes& codes);

  std::int64_t n_tokens() const { return fit_.n_tokens; }
  /// [d_out] mean x of everything added.
  std::span<const double> mean() const { return fit_.mean_x; }
  /// sum |x - xhat|^2 / sum |x - mean(x)|^2
  double fvu() const;
  /// sum <x - m, xhat - m> / sum |xhat - m|^2 with m = mean(x): the factor by which xhat - m has to
  /// be scaled to fit x - m best. Above 1: the reconstruction has shrunk. NaN where xhat is m
  /// throughout.
  double scale_to_fit() const;
  /// Means over tokens of |xhat| / |x| and of cos(x, xhat), as they come, not centred. Tokens with
  /// x = 0 are left out of both; cos is 0 where xhat is 0.
  double norm_ratio() const;
  double cosine() const;

  /// Mean active features a token.
  double l0() const;
  /// The smallest L0 that at least `share` of the tokens do not exceed.
  std::int64_t l0_quantile(double share) const;
  /// Share of features that never fired.
  double dead_share() const;
  /// [n_features] tokens on which each feature fired.
  std::span<const std::int64_t> n_fired() const { return n_fired_; }
  /// Share of tokens on which `feature` fired.
  double density(std::int64_t feature) const;

  /// How many features have log10(density) in each of `n_bins` equal bins of [lowest, 0]; bin 0
  /// also takes everything rarer. Features that never fired are left out.
  std::vector<std::int64_t> density_histogram(int n_bins, double lowest) const;

 private:
  FitSums fit_;
  std::vector<std::int64_t> n_fired_, n_with_l0_;  // tokens by feature, tokens by L0
};

}  // namespace safesail
