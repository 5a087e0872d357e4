#include "select/significance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace safesail {

double sign_test(std::int64_t n_forward, std::int64_t n_reverse) {
  SAFESAIL_CHECK(n_forward >= 0 && n_reverse >= 0);
  const auto n = static_cast<double>(n_forward + n_reverse);
  // The smaller tail is summed, so that a p value near 0 keeps its digits.
  const bool upper = n_forward * 2 > n_forward + n_reverse;
  const std::int64_t first = upper ? n_forward : 0;
  const std::int64_t last = upper ? n_forward + n_reverse : n_forward - 1;
  double tail = 0;
  for (std::int64_t x = first; x <= last; ++x) {
    const auto k = static_cast<double>(x);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                     n * std::log(2.0));
  }
  return std::clamp(upper ? tail : 1 - tail, 0.0, 1.0);
}

std::vector<double> benjamini_hochberg(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> q(p.size());
  double lowest = 1;
  for (std::size_t rank = p.size(); rank > 0; --rank) {
    const std::size_t i = order[rank - 1];
    lowest = std::min(lowest, p[i] * static_cast<double>(p.size()) / static_cast<double>(rank));
    q[i] = lowest;
  }
  return q;
}

}  // namespace safesail
