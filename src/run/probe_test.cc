#include "run/probe.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <numeric>

#include "base/rng.h"
#include "select/pair_units.h"

namespace safesail {
namespace {

struct Planted {
  static constexpr std::size_t kPairs = 200, kColumns = 8;
  PairFiring firing{kPairs, 100};
  std::vector<float> raw;
  std::vector<ContrastPair> pairs;
  Concept one{.name = "hate", .domain = "hate", .subclass = {}, .language = "en"};

  /// Feature 3 and raw column 2 know the concept where `informative`; all else is noise.
  explicit Planted(bool informative) {
    Rng rng(8, "probe");
    for (std::size_t text = 0; text < 2 * kPairs; ++text) {
      const bool positive = text % 2 == 0;
      std::vector<PairFiring::Firing> fires;
      for (std::int32_t f = 0; f < 100; ++f) {
        const double p = informative && f == 3 ? (positive ? 0.9 : 0.1) : 0.2;
        if (rng.uniform() < p) fires.push_back({f, static_cast<float>(1 + rng.uniform())});
      }
      firing.set(text, fires);
      for (std::size_t j = 0; j < kColumns; ++j)
        raw.push_back(
            static_cast<float>(rng.normal() + (informative && j == 2 && positive ? 3.0 : 0.0)));
    }
    for (std::size_t p = 0; p < kPairs; ++p) {
      pairs.push_back({.concept_ = fmt::format("template {}", p % 40)});
      one.pairs.push_back(p);
    }
  }
};

/// Three of ten templates held out.
ProbeResult probe_held_out(const PairFiring& firing, std::span<const float> raw,
                           const std::vector<ContrastPair>& pairs, const Concept& one) {
  const PairSplit split = split_pairs(PairUnits(pairs), 0.3, 0);
  Concept train = one, test = one;
  train.pairs = split.choosing;
  test.pairs = split.held_out;
  return probe(firing, raw, Planted::kColumns, pairs, train, test, {});
}

TEST(Probe, FindsWhatWasPlanted) {
  const Planted planted(true);
  const ProbeResult result =
      probe_held_out(planted.firing, planted.raw, planted.pairs, planted.one);
  EXPECT_EQ(result.best.front(), 3);
  EXPECT_EQ(result.n_train + result.n_test, Planted::kPairs);
  // Fires in 90 % against 10 %: AUROC .9; 60 test pairs make a standard error near .03.
  EXPECT_NEAR(result.one.value, 0.9, 0.09);
  // Means 3 standard deviations apart: Phi(3 / sqrt 2) = .983.
  EXPECT_GT(result.dense.value, 0.93);
  EXPECT_GT(result.mean_difference.value, 0.93);
  EXPECT_GT(result.twenty.value, 0.8);
}

// Three copies of each pair, as templates filled with other names nearly are, know nothing new.
TEST(Probe, CopiesOfAPairMakeNoIntervalNarrower) {
  const Planted once(true);
  constexpr std::size_t kCopies = 3;
  PairFiring firing(kCopies * Planted::kPairs, 100);
  std::vector<float> raw;
  std::vector<ContrastPair> pairs;
  Concept one = once.one;
  one.pairs.clear();
  for (std::size_t p = 0; p < kCopies * Planted::kPairs; ++p) {
    const std::size_t of = p / kCopies;
    const auto with = once.firing.with_concept(of), without = once.firing.counterpart(of);
    firing.set(2 * p, {with.begin(), with.end()});
    firing.set(2 * p + 1, {without.begin(), without.end()});
    const auto rows = once.raw.begin() + static_cast<std::ptrdiff_t>(2 * of * Planted::kColumns);
    raw.insert(raw.end(), rows, rows + 2 * Planted::kColumns);
    pairs.push_back(once.pairs[of]);
    one.pairs.push_back(p);
  }
  const ProbeResult few = probe_held_out(once.firing, once.raw, once.pairs, once.one);
  const ProbeResult many = probe_held_out(firing, raw, pairs, one);
  EXPECT_EQ(many.n_test, kCopies * few.n_test);
  EXPECT_NEAR(many.one.value, few.one.value, 1e-9);
  EXPECT_NEAR(many.one.high - many.one.low, few.one.high - few.one.low, 1e-9);
  EXPECT_NEAR(many.mean_difference.low, few.mean_difference.low, 1e-9);
  EXPECT_NEAR(many.mean_difference.high, few.mean_difference.high, 1e-9);
  EXPECT_LT(few.one.low, few.one.value);
}

TEST(Probe, FindsNothingInNoise) {
  const Planted noise(false);
  const ProbeResult result = probe_held_out(noise.firing, noise.raw, noise.pairs, noise.one);
  // A standard error of the AUROC of 60 and 60 texts is .053.
  for (const Estimate& estimate :
       {result.one, result.five, result.twenty, result.mean_difference, result.dense}) {
    EXPECT_NEAR(estimate.value, 0.5, 4 * 0.053);
    EXPECT_LT(estimate.low, 0.5 + 0.053);
  }
}

}  // namespace
}  // namespace safesail
