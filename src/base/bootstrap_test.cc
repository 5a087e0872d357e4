#include "base/bootstrap.h"

#include <cmath>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace safesail {
namespace {

double ratio(std::span<const double> totals) {
  return totals[0] / totals[1];
}

// The mean of n draws of variance 1 has a 95 % interval of +- 1.96 / sqrt(n). The end of an
// interval of 1000 resamples has a standard error of sqrt(.025 .975 / 1000) / density(1.96) = 0.085
// standard deviations, 4 % of the half width; the deviation of the sample itself is known to 1 /
// sqrt(2 n) = 3 %. Four of both together: 22 %.
TEST(Bootstrap, IntervalOfAMeanIsTheAnalyticOne) {
  constexpr std::size_t kDocuments = 500;
  Rng rng(7, "bootstrap test");
  DocumentSums sums(2);
  for (std::uint64_t document = 0; document < kDocuments; ++document) {
    sums.of(document * 977)[0] += 3 + rng.normal();
    sums.of(document * 977)[1] += 1;
  }
  ASSERT_EQ(sums.n_documents(), kDocuments);
  const Estimate estimate = Bootstrap(sums, 1000, 1).estimate(ratio);
  const double half_width = 1.96 / std::sqrt(double(kDocuments));
  EXPECT_NEAR(estimate.high - estimate.value, half_width, 0.25 * half_width);
  EXPECT_NEAR(estimate.value - estimate.low, half_width, 0.25 * half_width);
  EXPECT_NEAR(estimate.value, 3, 4 / std::sqrt(double(kDocuments)));
}

// Ten tokens of each document are alike: they count as one, not as ten.
TEST(Bootstrap, TokensOfADocumentGoTogether) {
  Rng rng(8, "bootstrap test");
  DocumentSums by_document(2), by_token(2);
  for (std::uint64_t document = 0; document < 200; ++document) {
    const double value = rng.normal();
    for (std::uint64_t token = 0; token < 10; ++token)
      for (const std::span<double> row :
           {by_document.of(document), by_token.of(10 * document + token)}) {
        row[0] += value;
        row[1] += 1;
      }
  }
  const Estimate wide = Bootstrap(by_document, 1000, 1).estimate(ratio);
  const Estimate narrow = Bootstrap(by_token, 1000, 1).estimate(ratio);
  EXPECT_NEAR(wide.value, narrow.value, 1e-12);
  // sqrt(10) = 3.2, each width known to some 10 %.
  EXPECT_NEAR((wide.high - wide.low) / (narrow.high - narrow.low), std::sqrt(10.0), 0.8);
}

TEST(Bootstrap, SameSeedSameInterval) {
  DocumentSums sums(2);
  for (std::uint64_t document = 0; document < 20; ++document) {
    sums.of(document)[0] = double(document * document);
    sums.of(document)[1] = 1;
  }
  const Estimate a = Bootstrap(sums, 100, 5).estimate(ratio);
  const Estimate b = Bootstrap(sums, 100, 5).estimate(ratio);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_NE(a.low, Bootstrap(sums, 100, 6).estimate(ratio).low);
}

TEST(Bootstrap, OneDocumentHasNoInterval) {
  DocumentSums sums(2);
  sums.of(3)[0] = 6;
  sums.of(3)[1] = 2;
  const Estimate estimate = Bootstrap(sums, 100, 5).estimate(ratio);
  EXPECT_EQ(estimate.value, 3);
  EXPECT_FALSE(estimate.has_interval());
}

}  // namespace
}  // namespace safesail
