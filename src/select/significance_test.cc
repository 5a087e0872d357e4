#include "select/significance.h"

#include <cmath>
#include <gtest/gtest.h>

namespace safesail {
namespace {

TEST(SignTest, ClosedForms) {
  EXPECT_DOUBLE_EQ(sign_test(0, 0), 1);
  EXPECT_NEAR(sign_test(5, 0), 1.0 / 32, 1e-14);
  EXPECT_NEAR(sign_test(4, 1), 6.0 / 32, 1e-14);
  EXPECT_NEAR(sign_test(1, 1), 0.75, 1e-14);
  EXPECT_NEAR(sign_test(0, 5), 1, 1e-14);
  // scipy.stats.binomtest(60, 100, alternative="greater").pvalue
  EXPECT_NEAR(sign_test(60, 40), 0.028443966820490395, 1e-12);
  // 2^-1000 is below the smallest normal double's square root, and must not become 0 before that.
  EXPECT_NEAR(std::log2(sign_test(1000, 0)), -1000, 1e-6);
}

TEST(SignTest, TheTailsOfBothSidesSumToOneAndTheMiddle) {
  for (int n = 1; n < 40; ++n)
    for (int x = 0; x <= n; ++x) {
      const double middle = std::exp(std::lgamma(n + 1.0) - std::lgamma(x + 1.0) -
                                     std::lgamma(n - x + 1.0) - n * std::log(2.0));
      EXPECT_NEAR(sign_test(x, n - x) + sign_test(n - x, x), 1 + middle, 1e-12) << x << " of " << n;
    }
}

// The example of R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "BH") and an unsorted one.
TEST(BenjaminiHochberg, KnownValues) {
  const std::vector<double> p = {0.04, 0.01, 0.9, 0.03};
  const std::vector<double> q = benjamini_hochberg(p);
  const std::vector<double> truth = {0.16 / 3, 0.04, 0.9, 0.16 / 3};
  for (std::size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(q[i], truth[i], 1e-15) << i;
  EXPECT_TRUE(benjamini_hochberg({}).empty());
}

}  // namespace
}  // namespace safesail
