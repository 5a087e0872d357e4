#include "base/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace safesail {
namespace {

constexpr double kOutside = 0.025;  // on either side of a 95 % interval

void add_to(std::vector<double>& totals, std::span<const double> row) {
  for (std::size_t c = 0; c < totals.size(); ++c) totals[c] += row[c];
}

}  // namespace

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

Estimate percentile_interval(double value, std::vector<double> resampled) {
  Estimate estimate{.value = value};
  std::erase_if(resampled, [](double drawn) { return !std::isfinite(drawn); });
  if (resampled.empty()) return estimate;
  std::ranges::sort(resampled);
  estimate.low = quantile(resampled, kOutside);
  estimate.high = quantile(resampled, 1 - kOutside);
  return estimate;
}

std::span<double> DocumentSums::of(std::uint64_t document) {
  const auto [place, is_new] = rows_.try_emplace(document, rows_.size());
  if (is_new) values_.resize(values_.size() + n_columns_);
  return std::span(values_).subspan(place->second * n_columns_, n_columns_);
}

Bootstrap::Bootstrap(const DocumentSums& sums, std::size_t n_resamples, std::uint64_t seed)
    : totals_(sums.n_columns()) {
  const std::size_t n = sums.n_documents();
  for (std::size_t i = 0; i < n; ++i) add_to(totals_, sums.row(i));
  if (n < 2) return;
  Rng rng(seed, "bootstrap");
  for (std::size_t r = 0; r < n_resamples; ++r) {
    std::vector<double>& totals = resampled_.emplace_back(sums.n_columns());
    for (std::size_t draw = 0; draw < n; ++draw) add_to(totals, sums.row(rng.below(n)));
  }
}

Estimate Bootstrap::estimate(const Statistic& statistic) const {
  std::vector<double> values;
  for (const std::vector<double>& totals : resampled_) values.push_back(statistic(totals));
  return percentile_interval(statistic(totals_), std::move(values));
}

}  // namespace safesail
