#include "sae/moments.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

#include "base/error.h"

namespace safesail {

RunningMoments::RunningMoments(std::int64_t d_model)
    : mean_(std::size_t(d_model)), squares_(std::size_t(d_model)) {}

void RunningMoments::add(const at::Tensor& x) {
  const auto d = std::int64_t(mean_.size());
  SAFESAIL_CHECK(x.dim() == 2 && x.size(1) == d);
  // Two passes over a block small enough for the cache, then one merge: as exact as Welford token
  // by token, and vectorised.
  constexpr std::int64_t kTokensAtOnce = 256;
  RunningMoments block(d);
  for (std::int64_t first = 0; first < x.size(0); first += kTokensAtOnce) {
    const std::int64_t n = std::min(kTokensAtOnce, x.size(0) - first);
    const at::Tensor rows = x.narrow(0, first, n).to(at::kCPU, at::kFloat).contiguous();
    const float* values = rows.const_data_ptr<float>();
    std::ranges::fill(block.mean_, 0.0);
    std::ranges::fill(block.squares_, 0.0);
    block.n_tokens_ = n;
    for (std::int64_t t = 0; t < n; ++t) {
      for (std::int64_t i = 0; i < d; ++i) block.mean_[std::size_t(i)] += values[t * d + i];
    }
    for (double& mean : block.mean_) mean /= double(n);
    for (std::int64_t t = 0; t < n; ++t) {
      for (std::int64_t i = 0; i < d; ++i) {
        const double away = values[t * d + i] - block.mean_[std::size_t(i)];
        block.squares_[std::size_t(i)] += away * away;
      }
    }
    if (!std::isfinite(block.total_variance())) {
      bad_input("activations", "expected finite numbers, got NaN or infinity",
                "look at the model that made them; in half precision large activations overflow");
    }
    merge(block);
  }
}

// Chan, Golub and LeVeque's pairwise update.
void RunningMoments::merge(const RunningMoments& other) {
  SAFESAIL_CHECK(mean_.size() == other.mean_.size());
  if (other.n_tokens_ == 0) return;
  const auto here = double(n_tokens_), there = double(other.n_tokens_), all = here + there;
  for (std::size_t i = 0; i < mean_.size(); ++i) {
    const double apart = other.mean_[i] - mean_[i];
    mean_[i] += apart * there / all;
    squares_[i] += other.squares_[i] + apart * apart * here * there / all;
  }
  n_tokens_ += other.n_tokens_;
}

std::vector<double> RunningMoments::variance() const {
  std::vector<double> result = squares_;
  for (double& value : result) value /= double(std::max<std::int64_t>(n_tokens_, 1));
  return result;
}

double RunningMoments::total_variance() const {
  if (n_tokens_ == 0) return 0;
  return std::accumulate(squares_.begin(), squares_.end(), 0.0) / double(n_tokens_);
}

InputTransform RunningMoments::transform(const std::string& site) const {
  const double variance = total_variance();
  const auto scale = float(std::sqrt(double(mean_.size()) / variance));
  if (n_tokens_ < 2 || !(variance > 0) || !std::isfinite(scale) || !(scale > 0)) {
    bad_input(site,
              fmt::format("expected activations that differ from token to token, got {} tokens of "
                          "total variance {}",
                          n_tokens_, variance),
              "give more text, or another site");
  }
  return {{mean_.begin(), mean_.end()}, scale};
}

}  // namespace safesail
