#include "run/logistic.h"

#include <cmath>
#include <gtest/gtest.h>

namespace safesail {
namespace {

// At the optimum the gradient of the penalised loss is zero; and an unpenalised one-column
// regression on a 2 x 2 table has the closed form log odds ratio.
TEST(LogisticRegression, ClosedFormAndGradient) {
  // 8 of 10 positive at x = 1, 3 of 10 at x = 0.
  std::vector<double> x;
  std::vector<std::uint8_t> labels;
  for (int i = 0; i < 20; ++i) {
    x.push_back(i < 10);
    labels.push_back(i < 8 || (i >= 10 && i < 13));
  }
  const std::vector<double> weights = logistic_regression(x, 1, labels, 0);
  EXPECT_NEAR(weights[1], std::log(3.0 / 7), 1e-6);
  EXPECT_NEAR(weights[0], std::log(8.0 / 2) - std::log(3.0 / 7), 1e-6);

  const std::vector<double> held = logistic_regression(x, 1, labels, 0.5);
  double gradient = 0.5 * held[0], intercept = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double p = 1 / (1 + std::exp(-(held[0] * x[i] + held[1])));
    gradient += (p - labels[i]) * x[i] / 20;
    intercept += (p - labels[i]) / 20;
  }
  EXPECT_NEAR(gradient, 0, 1e-8);
  EXPECT_NEAR(intercept, 0, 1e-8);
}

}  // namespace
}  // namespace safesail
