// Mean and spread of a site's activations, measured block by block, and the input transform that
// follows from them. Not thread-safe; merge() joins what several threads or ranks have seen.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sae/sae.h"

namespace safesail {

/// Welford's update in f64, a block at a time: exact to f64 rounding however far the mean lies from
/// zero.
class RunningMoments {
 public:
  explicit RunningMoments(std::int64_t d_model);

  /// x [n_tokens, d_model] f32 or bf16. Non-finite values are an input error.
  void add(const at::Tensor& x);
  void merge(const RunningMoments& other);

  std::int64_t n_tokens() const { return n_tokens_; }
  std::span<const double> mean() const { return mean_; }
  /// [d_model] E(x - mean)^2.
  std::vector<double> variance() const;
  /// Their sum.
  double total_variance() const;

  /// center = mean, scale = sqrt(d_model / total_variance). An input error when fewer than two
  /// tokens were seen or they are all alike; `site` names them in it.
  InputTransform transform(const std::string& site) const;

 private:
  std::int64_t n_tokens_ = 0;
  std::vector<double> mean_, squares_;  // squares_: sum of (x - mean)^2 a dimension
};

}  // namespace safesail
