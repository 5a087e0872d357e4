#include "sae/metrics.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace safesail {

StreamingMetrics::StreamingMetrics(const SaeSpec& spec)
    : moments_(spec.d_model), n_fired_(std::size_t(spec.n_features)) {}

void StreamingMetrics::add(const at::Tensor& x, const at::Tensor& xhat, const SparseCodes& codes) {
  SAFESAIL_CHECK(x.sizes() == xhat.sizes() && x.size(0) == codes.n_tokens());
  // Differences in f64: near-perfect reconstructions would otherwise cancel to rounding noise.
  constexpr std::int64_t kTokensAtOnce = 1024;
  for (std::int64_t first = 0; first < x.size(0); first += kTokensAtOnce) {
    const std::int64_t n = std::min(kTokensAtOnce, x.size(0) - first);
    const at::Tensor error =
        x.narrow(0, first, n).to(at::kDouble).sub_(xhat.narrow(0, first, n).to(at::kDouble));
    squared_error_ += error.square_().sum().item<double>();
  }
  moments_.add(x);
  for (const std::int32_t feature : codes.indices) {
    if (feature < 0) continue;
    ++n_fired_[std::size_t(feature)];
    ++n_active_;
  }
}

void StreamingMetrics::merge(const StreamingMetrics& other) {
  SAFESAIL_CHECK(n_fired_.size() == other.n_fired_.size());
  squared_error_ += other.squared_error_;
  n_active_ += other.n_active_;
  moments_.merge(other.moments_);
  std::ranges::transform(n_fired_, other.n_fired_, n_fired_.begin(), std::plus<>());
}

double StreamingMetrics::fvu() const {
  const double deviation = moments_.total_variance() * double(n_tokens());
  return deviation > 0 ? squared_error_ / deviation : 0;
}

double StreamingMetrics::mse() const {
  return n_tokens() > 0 ? squared_error_ / double(n_tokens()) : 0;
}

double StreamingMetrics::l0() const {
  return n_tokens() > 0 ? double(n_active_) / double(n_tokens()) : 0;
}

double StreamingMetrics::dead_share() const {
  return double(std::ranges::count(n_fired_, 0)) / double(n_fired_.size());
}

double StreamingMetrics::density(std::int64_t feature) const {
  const auto fired = double(n_fired_.at(std::size_t(feature)));
  return n_tokens() > 0 ? fired / double(n_tokens()) : 0;
}

std::vector<std::int64_t> StreamingMetrics::density_histogram(int n_bins, double lowest) const {
  SAFESAIL_CHECK(n_bins > 0 && lowest < 0);
  std::vector<std::int64_t> bins(static_cast<std::size_t>(n_bins));
  for (const std::int64_t fired : n_fired_) {
    if (fired == 0) continue;
    const double place = std::log10(double(fired) / double(n_tokens())) / lowest;  // 1 at lowest
    const double bin = std::floor((1 - place) * n_bins);
    ++bins[std::size_t(std::clamp(bin, 0.0, double(n_bins - 1)))];
  }
  return bins;
}

}  // namespace safesail
