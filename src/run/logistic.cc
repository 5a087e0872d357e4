#include "run/logistic.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace safesail {
namespace {

/// Solves A x = b for a symmetric positive definite A [n, n] by Cholesky; both are overwritten.
std::vector<double> solve(std::vector<double>& a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t k = 0; k < j; ++k)
      for (std::size_t i = j; i < n; ++i) a[i * n + j] -= a[i * n + k] * a[j * n + k];
    const double pivot = std::sqrt(std::max(a[j * n + j], 1e-12));
    for (std::size_t i = j; i < n; ++i) a[i * n + j] /= pivot;
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

}  // namespace

double linear_score(std::span<const double> weights, std::span<const double> row) {
  double sum = weights.back();
  for (std::size_t j = 0; j < row.size(); ++j) sum += weights[j] * row[j];
  return sum;
}

std::vector<double> logistic_regression(std::span<const double> x, std::size_t n_columns,
                                        std::span<const std::uint8_t> labels, double l2) {
  const std::size_t n = labels.size(), m = n_columns + 1;
  SAFESAIL_CHECK(x.size() == n * n_columns);
  std::vector<double> weights(m);
  for (int iteration = 0; iteration < 50; ++iteration) {
    // Of the mean loss plus l2/2 |w|^2; the intercept is not held back.
    std::vector<double> gradient(m), hessian(m * m);
    for (std::size_t j = 0; j < n_columns; ++j) {
      gradient[j] = l2 * weights[j];
      hessian[j * m + j] = l2;
    }
    hessian[m * m - 1] = 1e-9;
    std::vector<double> row(m, 1.0);
    for (std::size_t i = 0; i < n; ++i) {
      std::ranges::copy(x.subspan(i * n_columns, n_columns), row.begin());
      const double p = 1 / (1 + std::exp(-linear_score(weights, std::span(row).first(n_columns))));
      const double error = (p - labels[i]) / static_cast<double>(n);
      const double curvature = p * (1 - p) / static_cast<double>(n);
      for (std::size_t j = 0; j < m; ++j) {
        gradient[j] += error * row[j];
        const double scaled = curvature * row[j];
        for (std::size_t k = 0; k <= j; ++k) hessian[j * m + k] += scaled * row[k];
      }
    }
    const std::vector<double> step = solve(hessian, gradient);
    double largest = 0;
    for (std::size_t j = 0; j < m; ++j) {
      weights[j] -= step[j];
      largest = std::max(largest, std::abs(step[j]));
    }
    if (largest < 1e-8) break;
  }
  return weights;
}

}  // namespace safesail
