#include "harvest/value_histogram.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>

#include "base/rng.h"

namespace safesail {
namespace {

// A bin spans a ratio of 2^(1/32), so a quantile is off by less than 2.2 % of itself.
TEST(ValueHistogram, QuantilesOfAnExponential) {
  ValueHistogram histogram;
  constexpr int n = 20000;
  std::vector<float> values;
  Rng rng(1, "values");
  for (int i = 0; i < n; ++i)
    values.push_back(static_cast<float>(-std::log(1 - rng.uniform()) + 1e-6));
  for (const float value : values) histogram.add(value);
  std::ranges::sort(values);
  for (const double p : {0.01, 0.5, 0.9, 0.999}) {
    const float truth = values[static_cast<std::size_t>(p * n)];
    EXPECT_NEAR(histogram.quantile(p), truth, 0.022 * truth) << "p = " << p;
  }
  EXPECT_EQ(histogram.max(), values.back());
  EXPECT_EQ(histogram.n(), static_cast<std::uint64_t>(n));
  const std::vector<std::uint64_t> bins = histogram.linear(10);
  EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), std::uint64_t{0}), histogram.n());
}

TEST(ValueHistogram, OneValueAndNone) {
  ValueHistogram histogram;
  EXPECT_EQ(histogram.quantile(0.999), 0);
  histogram.add(3.5F);
  // Linear inside the bin that ends at the largest value.
  EXPECT_NEAR(histogram.quantile(0.999), 3.5, 0.022 * 3.5);
  EXPECT_EQ(histogram.linear(4), (std::vector<std::uint64_t>{0, 0, 0, 1}));
}

TEST(ValueHistogram, TheOrderDoesNotMatter) {
  ValueHistogram rising, falling;
  for (int i = 1; i <= 1000; ++i) rising.add(static_cast<float>(i) * 1e-3F);
  for (int i = 1000; i >= 1; --i) falling.add(static_cast<float>(i) * 1e-3F);
  for (const double p : {0.1, 0.5, 0.999}) EXPECT_EQ(rising.quantile(p), falling.quantile(p));
}

}  // namespace
}  // namespace safesail
