// Exact tests of one feature, and the control of false discoveries over many of them. Free
// functions; a fault of the caller is a failed check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace safesail {

/// P(X >= n_forward) for X ~ Binomial(n_forward + n_reverse, 1/2): the one-sided p value of "more
/// often with the concept than without". Exact; 1 for no discordant pair.
double sign_test(std::int64_t n_forward, std::int64_t n_reverse);

/// One-sided Fisher exact test of "more often than elsewhere": the probability of at least `hits`
/// of `n` when the hits + other_hits of all n + n_other are placed at random.
double fisher_test(std::int64_t hits, std::int64_t n, std::int64_t other_hits,
                   std::int64_t n_other);

/// Benjamini-Hochberg q values (1995) of `p`, in its order: the smallest false discovery rate at
/// which each is still a discovery.
std::vector<double> benjamini_hochberg(std::span<const double> p);

/// q values of tests that come in families, by the two steps of Benjamini and Bogomolov (2014) with
/// Simes' p for a family: at a rate a, of m families the R are chosen whose Simes p passes
/// Benjamini-Hochberg at a, and in each of those the tests that pass Benjamini-Hochberg at a R / m.
/// A test's q is the smallest a at which it is a discovery. Controlled at a are the share of false
/// ones among the families chosen, and the mean over these of the share of false tests in each.
/// `family` [n_tests]: numbers 0 .. n_families - 1, each with at least one test.
std::vector<double> two_level_q(std::span<const double> p, std::span<const std::size_t> family,
                                std::size_t n_families);

/// P(X >= k) for X ~ Binomial(n, 1/2), for many n and k: what a feature with n discordant pairs
/// reaches when sides are exchanged by coins. Rows are made when first asked for and kept; beyond
/// kExactCoins the normal approximation with continuity correction serves, within 2e-5. One thread.
class FairCoins {
 public:
  static constexpr std::int64_t kExactCoins = 2000;
  double at_least(std::int64_t k, std::int64_t n);

 private:
  std::vector<std::vector<double>> rows_;  ///< [n][k]
};

/// The 97.5 % point of Student's t with `degrees` degrees of freedom, by its expansion about the
/// normal one (Abramowitz and Stegun 26.7.5): within .1 % from 4 degrees on, 11 % below for one.
double student_t(double degrees);

}  // namespace safesail
