#include "harvest/value_histogram.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace safesail {
namespace {

constexpr int kBinsAnOctave = 32, kOctaves = 20;

int bin_of(float value) {
  const double octaves =
      std::clamp(std::log2(static_cast<double>(value)), -double{kOctaves}, double{kOctaves});
  return static_cast<int>(std::floor(octaves * kBinsAnOctave));
}

double lower_edge(int bin) {
  return std::exp2(static_cast<double>(bin) / kBinsAnOctave);
}

}  // namespace

void ValueHistogram::add(float value) {
  SAFESAIL_CHECK(value > 0);
  const int bin = bin_of(value);
  // Most features keep within few octaves, so only the bins between their extremes are held.
  if (counts_.empty()) first_ = bin;
  if (bin < first_) {
    counts_.insert(counts_.begin(), static_cast<std::size_t>(first_ - bin), 0);
    first_ = bin;
  }
  const auto i = static_cast<std::size_t>(bin - first_);
  if (i >= counts_.size()) counts_.resize(i + 1);
  ++counts_[i];
  ++n_;
  max_ = std::max(max_, value);
}

float ValueHistogram::quantile(double p) const {
  const double rank = p * static_cast<double>(n_);
  double below = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const double in_bin = counts_[i];
    if (in_bin > 0 && below + in_bin >= rank) {
      const int bin = first_ + static_cast<int>(i);
      const double low = lower_edge(bin);
      // The highest bin ends at the largest value, not at its edge.
      const double high = std::min(lower_edge(bin + 1), static_cast<double>(max_));
      return static_cast<float>(low + (high - low) * std::clamp((rank - below) / in_bin, 0.0, 1.0));
    }
    below += in_bin;
  }
  return max_;
}

std::vector<std::uint64_t> ValueHistogram::linear(int n_bins) const {
  std::vector<std::uint64_t> bins(static_cast<std::size_t>(n_bins));
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const double middle = lower_edge(first_ + static_cast<int>(i)) * std::exp2(0.5 / kBinsAnOctave);
    const double place = std::min(middle / max_, 1.0) * n_bins;
    bins[std::min(static_cast<std::size_t>(place), bins.size() - 1)] += counts_[i];
  }
  return bins;
}

}  // namespace safesail
