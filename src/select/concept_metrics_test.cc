#include "select/concept_metrics.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>

#include "base/rng.h"

namespace safesail {
namespace {

Concept all_pairs(std::size_t n) {
  Concept one{
      .name = "terror/weapons", .domain = "terror", .subclass = "weapons", .language = "en"};
  one.pairs.resize(n);
  std::iota(one.pairs.begin(), one.pairs.end(), std::size_t{0});
  return one;
}

// Two pairs, four features: 0 fires with the concept in both pairs, 1 with it in one, 2 on both
// sides, 3 in a counterpart.
TEST(ConceptMetrics, ByHand) {
  PairFiring firing(2, 4);
  firing.set(0, {{0, 1.0F}, {1, 2.0F}, {2, 1.0F}});
  firing.set(1, {{2, 3.0F}});
  firing.set(2, {{0, 0.5F}, {2, 1.0F}});
  firing.set(3, {{2, 1.0F}, {3, 1.0F}});
  const ConceptMetrics metrics = concept_metrics(firing, all_pairs(2), {.min_discordant = 1});
  EXPECT_DOUBLE_EQ(metrics.i_cdf.observed.value, (1 + 0.5) / 4);
  EXPECT_DOUBLE_EQ(metrics.reverse_i_cdf.value, 0.5 / 4);
  EXPECT_EQ(metrics.l0_t[0].observed.value, 2);
  EXPECT_EQ(metrics.l0_t[5].observed.value, 1);
  EXPECT_EQ(metrics.l0_t[9].observed.value, 1);
  // Exchanging sides: each discordant (pair, feature) counts in half of the swaps.
  // 200 swaps of two pairs with 2 and 2 discordant features: the standard error of the mean is
  // below .25 / sqrt(200) = .018 of a feature's share.
  EXPECT_NEAR(metrics.i_cdf.null_mean, (2.0 + 2.0) / 2 / 2 / 4, 4 * 0.018);
  ASSERT_EQ(metrics.tested.size(), 3U);
  EXPECT_EQ(metrics.tested[0].n_forward, 2);
  EXPECT_DOUBLE_EQ(metrics.tested[0].p, 0.25);
  EXPECT_DOUBLE_EQ(metrics.tested[0].effect, (1.0 + 0.5) / 2 / 1.0);
  EXPECT_EQ(metrics.tested[2].feature, 3);
  EXPECT_DOUBLE_EQ(metrics.tested[2].effect, -0.5);
}

// I_CDF is the area under L_{0,t} / n_features, t from 0 to 1.
TEST(ConceptMetrics, ICdfIsTheAreaUnderTheCurve) {
  constexpr std::size_t n_pairs = 10;  // so that f_i takes the thresholds' values
  PairFiring firing(n_pairs, 50);
  Rng rng(3, "area");
  for (std::size_t text = 0; text < 2 * n_pairs; ++text) {
    std::vector<PairFiring::Firing> fires;
    for (std::int32_t f = 0; f < 50; ++f)
      if (rng.uniform() < (text % 2 == 0 ? 0.5 : 0.2)) fires.push_back({f, 1});
    firing.set(text, fires);
  }
  const ConceptMetrics metrics = concept_metrics(firing, all_pairs(n_pairs), {});
  double area = 0;
  for (const AgainstNull& l0 : metrics.l0_t) area += 0.1 * l0.observed.value / 50;
  EXPECT_NEAR(metrics.i_cdf.observed.value, area, 1e-12);
}

// A model with planted concept features: they fire in nine of ten texts with the concept and in one
// of twenty without; all others fire at rates of their own, whatever the text says.
struct Planted {
  static constexpr std::int32_t kFeatures = 2000, kPlanted = 60;
  static constexpr std::size_t kPairs = 60;

  static PairFiring firing(std::uint64_t seed, bool shuffled) {
    PairFiring result(kPairs, kFeatures);
    Rng rng(seed, "planted firing");
    std::vector<double> rate(kFeatures);
    for (double& r : rate) r = 0.3 * rng.uniform();
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      const bool exchanged = shuffled && rng.below(2) == 1;
      for (std::size_t side = 0; side < 2; ++side) {
        const bool has_concept = side == 0;
        std::vector<PairFiring::Firing> fires;
        for (std::int32_t f = 0; f < kFeatures; ++f) {
          const double p = f >= kPlanted ? rate[static_cast<std::size_t>(f)]
                           : has_concept ? 0.9
                                         : 0.05;
          if (rng.uniform() < p) fires.push_back({f, 1});
        }
        result.set(2 * pair + (exchanged ? 1 - side : side), fires);
      }
    }
    return result;
  }
};

TEST(ConceptMetrics, FindsPlantedFeaturesAndFewOthers) {
  constexpr int n_runs = 20;
  double n_false = 0, n_found = 0;
  for (int run = 0; run < n_runs; ++run) {
    const ConceptMetrics metrics =
        concept_metrics(Planted::firing(static_cast<std::uint64_t>(run), false),
                        all_pairs(Planted::kPairs), {.false_discovery_rate = 0.1});
    double found = 0, wrong = 0;
    for (const FeatureContrast& candidate : metrics.candidates)
      ++(candidate.feature < Planted::kPlanted ? found : wrong);
    EXPECT_GE(found, 0.95 * Planted::kPlanted) << "run " << run;
    n_found += found;
    n_false += wrong;
    EXPECT_LE(metrics.p_value, 1.0 / 201 + 1e-12);
    EXPECT_GT(metrics.i_cdf.observed.low, metrics.i_cdf.null_high);
    EXPECT_NEAR(metrics.l0_t[5].observed.value, Planted::kPlanted, 3) << "run " << run;
    EXPECT_LE(metrics.l0_t[5].null_mean, 10);
  }
  // The stated share, 10 %, in expectation; about 120 false ones of 1,320 in 20 runs vary by 11.
  EXPECT_LE(n_false / (n_false + n_found), 0.1 + 3 * std::sqrt(120.0) / 1320);
}

TEST(ConceptMetrics, ShuffledLabelsGiveNothing) {
  constexpr int n_runs = 20;
  int n_runs_with_any = 0, n_significant = 0;
  for (int run = 0; run < n_runs; ++run) {
    const ConceptMetrics metrics =
        concept_metrics(Planted::firing(100 + static_cast<std::uint64_t>(run), true),
                        all_pairs(Planted::kPairs), {.false_discovery_rate = 0.1});
    n_runs_with_any += !metrics.candidates.empty();
    n_significant += metrics.p_value <= 0.05;
    // The observed value is one more draw of the null.
    EXPECT_NEAR(metrics.i_cdf.observed.value, metrics.i_cdf.null_mean,
                1.5 * (metrics.i_cdf.null_high - metrics.i_cdf.null_low));
  }
  // Where nothing is true, a false discovery rate is the probability of any discovery: at most
  // 10 % of 20 runs, so seven or more have probability below .003. The planted features swap
  // together, which makes the discoveries of a run come in heaps, not in more runs.
  EXPECT_LE(n_runs_with_any, 6);
  // 5 % of 20 runs: five or more have probability below .003.
  EXPECT_LE(n_significant, 4);
}

TEST(PairFiring, MergesPiecesOfAText) {
  PairFiring firing(1, 10);
  SparseCodes codes{
      .offsets = {0, 2, 3, 5}, .indices = {4, 1, 4, 7, 1}, .values = {2, 1, 3, .5, 4}};
  firing.merge(0, codes, 0, 2, 0.6F);
  firing.merge(0, codes, 2, 1, 0.6F);
  const auto fires = firing.with_concept(0);
  ASSERT_EQ(fires.size(), 2U);
  EXPECT_EQ(fires[0].feature, 1);
  EXPECT_EQ(fires[0].max, 4);
  EXPECT_EQ(fires[1].feature, 4);
  EXPECT_EQ(fires[1].max, 3);
  EXPECT_TRUE(firing.counterpart(0).empty());
}

}  // namespace
}  // namespace safesail
