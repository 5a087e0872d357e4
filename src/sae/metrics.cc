#include "sae/metrics.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace safesail {
namespace {

/// Tokens that are widened to f64 at a time.
constexpr std::int64_t kTokensAtOnce = 1024;

std::vector<double> vector_of(const at::Tensor& values) {
  const at::Tensor flat = values.contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

double ratio(double over, double under, double otherwise) {
  return under > 0 ? over / under : otherwise;
}

/// x, xhat [n_tokens, d] f64.
FitSums fit_of(const at::Tensor& x, const at::Tensor& xhat) {
  const auto sum = [](const at::Tensor& values) { return values.sum().item<double>(); };
  const at::Tensor mean_x = x.mean(0), mean_xhat = xhat.mean(0);
  const at::Tensor centred_x = x - mean_x, centred_xhat = xhat - mean_xhat;
  const at::Tensor norm = x.norm(2, 1), norm_hat = xhat.norm(2, 1);
  const at::Tensor cosine = (x * xhat).sum(1) / (norm * norm_hat);
  const at::Tensor not_zero = norm.gt(0);
  return {.n_tokens = x.size(0),
          .mean_x = vector_of(mean_x),
          .mean_xhat = vector_of(mean_xhat),
          .squared_error = sum((x - xhat).square_()),
          .deviation_x = sum(centred_x.square()),
          .deviation_xhat = sum(centred_xhat.square()),
          .codeviation = sum(centred_x * centred_xhat),
          .norm_ratios = sum((norm_hat / norm).masked_select(not_zero)),
          .cosines = sum(cosine.masked_select(not_zero.logical_and(norm_hat.gt(0)))),
          .n_not_zero = not_zero.sum().item<std::int64_t>()};
}

}  // namespace

double squared_distance(std::span<const double> a, std::span<const double> b) {
  SAFESAIL_CHECK(a.size() == b.size());
  return std::transform_reduce(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                               [](double left, double right) { return std::pow(left - right, 2); });
}

std::vector<double> squared_distances(const at::Tensor& a, const at::Tensor& b) {
  SAFESAIL_CHECK(a.dim() == 2 && a.size(1) == b.size(-1));
  const at::Tensor other = b.to(at::kDouble).expand_as(a);
  std::vector<double> squares;
  for (std::int64_t first = 0; first < a.size(0); first += kTokensAtOnce) {
    // Differences in f64: near-perfect reconstructions would otherwise cancel to rounding noise.
    const std::int64_t n = std::min(kTokensAtOnce, a.size(0) - first);
    const at::Tensor error = a.narrow(0, first, n).to(at::kDouble).sub(other.narrow(0, first, n));
    const std::vector<double> part = vector_of(error.square_().sum(1));
    squares.insert(squares.end(), part.begin(), part.end());
  }
  return squares;
}

// The means move as in Chan, Golub and LeVeque (1979): sums about a common mean are those about
// each part's own and the distance of the two means.
void FitSums::merge(const FitSums& other) {
  if (other.n_tokens == 0) return;
  if (n_tokens == 0) {
    *this = other;
    return;
  }
  SAFESAIL_CHECK(mean_x.size() == other.mean_x.size());
  const double share = double(other.n_tokens) / double(n_tokens + other.n_tokens);
  const double weight = share * double(n_tokens);
  for (std::size_t i = 0; i < mean_x.size(); ++i) {
    const double apart = other.mean_x[i] - mean_x[i], apart_hat = other.mean_xhat[i] - mean_xhat[i];
    deviation_x += weight * apart * apart;
    deviation_xhat += weight * apart_hat * apart_hat;
    codeviation += weight * apart * apart_hat;
    mean_x[i] += share * apart;
    mean_xhat[i] += share * apart_hat;
  }
  n_tokens += other.n_tokens;
  squared_error += other.squared_error;
  deviation_x += other.deviation_x;
  deviation_xhat += other.deviation_xhat;
  codeviation += other.codeviation;
  norm_ratios += other.norm_ratios;
  cosines += other.cosines;
  n_not_zero += other.n_not_zero;
}

StreamingMetrics::StreamingMetrics(const SaeSpec& spec) : n_fired_(std::size_t(spec.n_features)) {}

std::vector<double> StreamingMetrics::add(const at::Tensor& x, const at::Tensor& xhat,
                                          const SparseCodes& codes) {
  SAFESAIL_CHECK(x.sizes() == xhat.sizes() && x.size(0) == codes.n_tokens());
  for (std::int64_t first = 0; first < x.size(0); first += kTokensAtOnce) {
    const std::int64_t n = std::min(kTokensAtOnce, x.size(0) - first);
    fit_.merge(
        fit_of(x.narrow(0, first, n).to(at::kDouble), xhat.narrow(0, first, n).to(at::kDouble)));
  }
  for (const std::int32_t feature : codes.indices) ++n_fired_[std::size_t(feature)];
  for (std::size_t t = 0; t + 1 < codes.offsets.size(); ++t) {
    const auto l0 = std::size_t(codes.offsets[t + 1] - codes.offsets[t]);
    if (l0 >= n_with_l0_.size()) n_with_l0_.resize(l0 + 1);
    ++n_with_l0_[l0];
  }
  return squared_distances(x, xhat);
}

double StreamingMetrics::fvu() const {
  return ratio(fit_.squared_error, fit_.deviation_x, 0);
}

double StreamingMetrics::scale_to_fit() const {
  const double about_mean_x =
      fit_.deviation_xhat + double(n_tokens()) * squared_distance(fit_.mean_x, fit_.mean_xhat);
  return ratio(fit_.codeviation, about_mean_x, std::numeric_limits<double>::quiet_NaN());
}

double StreamingMetrics::norm_ratio() const {
  return ratio(fit_.norm_ratios, double(fit_.n_not_zero), 0);
}

double StreamingMetrics::cosine() const {
  return ratio(fit_.cosines, double(fit_.n_not_zero), 0);
}

double StreamingMetrics::l0() const {
  double active = 0;
  for (std::size_t l0 = 0; l0 < n_with_l0_.size(); ++l0)
    active += double(l0) * double(n_with_l0_[l0]);
  return ratio(active, double(n_tokens()), 0);
}

std::int64_t StreamingMetrics::l0_quantile(double share) const {
  std::int64_t seen = 0;
  for (std::size_t l0 = 0; l0 < n_with_l0_.size(); ++l0) {
    seen += n_with_l0_[l0];
    if (double(seen) >= share * double(n_tokens())) return std::int64_t(l0);
  }
  return 0;
}

double StreamingMetrics::dead_share() const {
  return double(std::ranges::count(n_fired_, 0)) / double(n_fired_.size());
}

double StreamingMetrics::density(std::int64_t feature) const {
  return ratio(double(n_fired_.at(std::size_t(feature))), double(n_tokens()), 0);
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
