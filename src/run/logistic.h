// Logistic regression on a few columns or a few thousand: what a probe fits. Free functions; a
// fault of the caller is a failed check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace safesail {

/// Weights [n_columns + 1], the last the intercept, of the L2-regularised logistic regression of
/// `labels` (0, 1) on rows of x [n, n_columns]: Newton's method (IRLS), to convergence.
std::vector<double> logistic_regression(std::span<const double> x, std::size_t n_columns,
                                        std::span<const std::uint8_t> labels, double l2);

/// Intercept plus the weighted sum of a row [n_columns].
double linear_score(std::span<const double> weights, std::span<const double> row);

}  // namespace safesail
