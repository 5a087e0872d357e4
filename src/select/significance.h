// The paired sign test and the control of false discoveries over many of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace safesail {

/// P(X >= n_forward) for X ~ Binomial(n_forward + n_reverse, 1/2): the one-sided p value of "more
/// often with the concept than without". Exact; 1 for no discordant pair.
double sign_test(std::int64_t n_forward, std::int64_t n_reverse);

/// Benjamini-Hochberg q values (1995) of `p`, in its order: the smallest false discovery rate at
/// which each is still a discovery.
std::vector<double> benjamini_hochberg(std::span<const double> p);

}  // namespace safesail
