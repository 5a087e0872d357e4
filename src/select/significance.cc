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

double fisher_test(std::int64_t hits, std::int64_t n, std::int64_t other_hits,
                   std::int64_t n_other) {
  SAFESAIL_CHECK(0 <= hits && hits <= n && 0 <= other_hits && other_hits <= n_other);
  const std::int64_t all = hits + other_hits;
  const auto choose = [](std::int64_t from, std::int64_t k) {
    const auto a = static_cast<double>(from), b = static_cast<double>(k);
    return std::lgamma(a + 1) - std::lgamma(b + 1) - std::lgamma(a - b + 1);
  };
  // Hypergeometric: the first term of the tail, the others by the ratio of neighbours.
  double term = std::exp(choose(n, hits) + choose(n_other, other_hits) - choose(n + n_other, all));
  double tail = 0;
  for (std::int64_t x = hits; x <= std::min(n, all); ++x) {
    tail += term;
    term *= static_cast<double>(n - x) * static_cast<double>(all - x) /
            (static_cast<double>(x + 1) * static_cast<double>(n_other - all + x + 1));
  }
  return std::min(tail, 1.0);
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

std::vector<double> two_level_q(std::span<const double> p, std::span<const std::size_t> family,
                                std::size_t n_families) {
  SAFESAIL_CHECK(p.size() == family.size());
  std::vector<std::vector<std::size_t>> members(n_families);
  for (std::size_t i = 0; i < p.size(); ++i) members[family[i]].push_back(i);
  // A test's p adjusted within its family; the smallest of them is Simes' p of the family.
  std::vector<double> adjusted(p.size()), simes;
  for (const std::vector<std::size_t>& tests : members) {
    SAFESAIL_CHECK(!tests.empty());
    std::vector<double> own;
    for (const std::size_t i : tests) own.push_back(p[i]);
    own = benjamini_hochberg(own);
    for (std::size_t j = 0; j < tests.size(); ++j) adjusted[tests[j]] = own[j];
    simes.push_back(*std::ranges::min_element(own));
  }
  std::ranges::sort(simes);
  // A test is a discovery at a when its adjusted p is at most a R / m, the largest Simes p that
  // passes rounded up to what would still pass. So its q is the lowest m t / #{Simes p <= t} over
  // all t from its adjusted p on; between two Simes p's the left end has the lowest.
  const auto m = static_cast<double>(n_families);
  std::vector<double> lowest_from(simes.size() + 1, 1.0);
  for (std::size_t i = simes.size(); i-- > 0;)
    lowest_from[i] = std::min(lowest_from[i + 1], m * simes[i] / static_cast<double>(i + 1));
  std::vector<double> q(p.size());
  for (std::size_t i = 0; i < p.size(); ++i) {
    const auto above = std::ranges::upper_bound(simes, adjusted[i]);
    const auto n_below = static_cast<double>(above - simes.begin());
    q[i] = std::min(m * adjusted[i] / n_below, lowest_from[static_cast<std::size_t>(n_below)]);
  }
  return q;
}

double FairCoins::at_least(std::int64_t k, std::int64_t n) {
  SAFESAIL_CHECK(n >= 0);
  if (k <= 0) return 1;
  if (k > n) return 0;
  if (n > kExactCoins) {
    const double z = (static_cast<double>(k) - 0.5 - 0.5 * static_cast<double>(n)) /
                     (0.5 * std::sqrt(static_cast<double>(n)));
    return 0.5 * std::erfc(z / std::sqrt(2.0));
  }
  if (rows_.empty()) rows_.push_back({1});
  while (static_cast<std::int64_t>(rows_.size()) <= n) {
    const std::vector<double>& last = rows_.back();
    std::vector<double> row(last.size() + 1, 1.0);
    for (std::size_t j = 1; j < row.size(); ++j)
      row[j] = ((j < last.size() ? last[j] : 0) + last[j - 1]) / 2;  // the new coin shows 0, or 1
    rows_.push_back(std::move(row));
  }
  return rows_[static_cast<std::size_t>(n)][static_cast<std::size_t>(k)];
}

double student_t(double degrees) {
  constexpr double z = 1.959963984540054;
  const double z2 = z * z, z3 = z2 * z, z5 = z3 * z2, z7 = z5 * z2, z9 = z7 * z2;
  const double n = degrees;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n) +
         (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / (92160 * n * n * n * n);
}

}  // namespace safesail
