#include "select/concept_metrics.h"

#include <cmath>
#include <gtest/gtest.h>
#include <numeric>

#include "base/rng.h"
#include "select/pairs_testing.h"

namespace safesail {
namespace {

Concept all_pairs(std::size_t n) {
  Concept concept_{
      .name = "terror/weapons", .domain = "terror", .subclass = "weapons", .language = "en"};
  concept_.pairs.resize(n);
  std::iota(concept_.pairs.begin(), concept_.pairs.end(), std::size_t{0});
  return concept_;
}

ConceptMetrics metrics_of(const PairFiring& firing, const std::vector<ContrastPair>& pairs,
                          const Concept& concept_, std::size_t n_resamples = 200) {
  FairCoins coins;
  return concept_metrics(firing, concept_, PairResamples(pairs, all_of(pairs), n_resamples, 0),
                         coins);
}

// Two pairs, four features: 0 fires with the concept in both pairs, 1 with it in one, 2 on both
// sides, 3 in a counterpart.
TEST(ConceptMetrics, ByHand) {
  PairFiring firing(2, 4);
  firing.set(0, {{0, 1.0F}, {1, 2.0F}, {2, 1.0F}});
  firing.set(1, {{2, 3.0F}});
  firing.set(2, {{0, 0.5F}, {2, 1.0F}});
  firing.set(3, {{2, 1.0F}, {3, 1.0F}});
  const std::vector<ContrastPair> pairs = PairGrid{.n_concepts = 2, .n_each = 1}.pairs();
  const ConceptMetrics metrics = metrics_of(firing, pairs, all_pairs(2), 2000);
  EXPECT_DOUBLE_EQ(metrics.i_cdf.observed.value, (1 + 0.5) / 4);
  EXPECT_DOUBLE_EQ(metrics.reverse_i_cdf.value, 0.5 / 4);
  EXPECT_EQ(metrics.l0_t[0].observed.value, 2);
  EXPECT_EQ(metrics.l0_t[5].observed.value, 1);
  EXPECT_EQ(metrics.l0_t[9].observed.value, 1);
  // Exchanging sides: each discordant (pair, feature) counts in half of the swaps; feature 0 passes
  // f > 0 in three of four, features 1 and 3 in a half, f > .5 only 0 in a quarter.
  EXPECT_DOUBLE_EQ(metrics.i_cdf.null_mean, 4 * 0.5 / 2 / 4);
  EXPECT_DOUBLE_EQ(metrics.l0_t[0].null_mean, 0.75 + 0.5 + 0.5);
  EXPECT_DOUBLE_EQ(metrics.l0_t[5].null_mean, 0.25);
  EXPECT_DOUBLE_EQ(metrics.l0_t[0].excess.value, 2 - 1.75);
  // The second pair counts 1 whichever side is which; the first counts 2, or 0 where it is swapped.
  EXPECT_NEAR(metrics.p_value, 0.5, 4 * std::sqrt(0.5 * 0.5 / 2000));
}

// Every interval that is stated is there, and holds what it is of.
TEST(ConceptMetrics, AllHaveIntervals) {
  const std::vector<ContrastPair> pairs = PairGrid{}.pairs();
  PairFiring firing(pairs.size(), 50);
  Rng rng(4, "intervals");
  for (std::size_t text = 0; text < 2 * pairs.size(); ++text) {
    std::vector<PairFiring::Firing> fires;
    for (std::int32_t f = 0; f < 50; ++f)
      if (rng.uniform() < (text % 2 == 0 ? 0.5 : 0.2)) fires.push_back({f, 1});
    firing.set(text, fires);
  }
  const ConceptMetrics metrics = metrics_of(firing, pairs, all_pairs(pairs.size()));
  for (const Estimate& estimate : {metrics.reverse_i_cdf, metrics.i_cdf.observed,
                                   metrics.i_cdf.excess, metrics.l0_t[2].excess}) {
    EXPECT_LT(estimate.low, estimate.value);
    EXPECT_GT(estimate.high, estimate.value);
  }
  EXPECT_GE(metrics.i_cdf.null_mean, metrics.i_cdf.null_low);
  EXPECT_LE(metrics.i_cdf.null_mean, metrics.i_cdf.null_high);
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
  const ConceptMetrics metrics =
      metrics_of(firing, PairGrid{.n_each = 2}.pairs(), all_pairs(n_pairs));
  double area = 0;
  for (const NullComparison& l0 : metrics.l0_t) area += 0.1 * l0.observed.value / 50;
  EXPECT_NEAR(metrics.i_cdf.observed.value, area, 1e-12);
}

// The exact null is what the swaps are a sample of.
TEST(ConceptMetrics, TheNullIsTheMeanOfTheSwaps) {
  const std::vector<ContrastPair> pairs = PairGrid{}.pairs();
  PairFiring firing(pairs.size(), 300);
  Rng rng(9, "null");
  for (std::size_t text = 0; text < 2 * pairs.size(); ++text) {
    std::vector<PairFiring::Firing> fires;
    for (std::int32_t f = 0; f < 300; ++f)
      if (rng.uniform() < 0.3) fires.push_back({f, 1});
    firing.set(text, fires);
  }
  const ConceptMetrics metrics = metrics_of(firing, pairs, all_pairs(pairs.size()), 1000);
  for (const std::size_t number : {0U, 2U, 3U, 4U}) {
    double mean = 0, square = 0;
    for (const MetricNumbers& swapped : metrics.draws.swapped) {
      mean += swapped[number] / 1000;
      square += swapped[number] * swapped[number] / 1000;
    }
    const double error = std::sqrt((square - mean * mean) / 1000);
    EXPECT_NEAR(metrics.number(number).null_mean, mean, 4 * error) << number;
  }
}

TEST(ConceptMetrics, ShuffledLabelsGiveNothing) {
  constexpr int n_runs = 20;
  const std::vector<ContrastPair> pairs = PairGrid{.n_concepts = 15}.pairs();
  int n_significant = 0;
  for (int run = 0; run < n_runs; ++run) {
    PairFiring firing(pairs.size(), 400);
    Rng rng(static_cast<std::uint64_t>(run), "shuffled");
    for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
      const std::size_t exchanged = rng.below(2);
      for (std::size_t side = 0; side < 2; ++side) {
        std::vector<PairFiring::Firing> fires;
        for (std::int32_t f = 0; f < 400; ++f)
          if (rng.uniform() < (f < 30 && side == 0 ? 0.9 : 0.15)) fires.push_back({f, 1});
        firing.set(2 * pair + (side ^ exchanged), fires);
      }
    }
    n_significant += metrics_of(firing, pairs, all_pairs(pairs.size())).p_value <= 0.05;
  }
  // 5 % of 20 runs: five or more have probability below .003.
  EXPECT_LE(n_significant, 4);
}

TEST(PairFiring, MergesPiecesOfAText) {
  PairFiring firing(1, 10);
  SparseCodes codes{
      .offsets = {0, 2, 3, 5}, .indices = {4, 1, 4, 7, 1}, .values = {2, 1, 3, .5, 4}};
  firing.merge(0, codes, 0, std::vector<std::uint32_t>{0, 1}, 0.6F);
  firing.merge(0, codes, 2, std::vector<std::uint32_t>{2}, 0.6F);
  firing.set_words(std::make_shared<const std::vector<std::string>>(
      std::vector<std::string>{"a", "bomb", "war"}));
  const auto fires = firing.with_concept(0);
  ASSERT_EQ(fires.size(), 2U);
  EXPECT_EQ(fires[0].feature, 1);
  EXPECT_EQ(fires[0].max, 4);
  EXPECT_EQ(fires[1].feature, 4);
  EXPECT_EQ(fires[1].max, 3);
  EXPECT_EQ(firing.word(fires[0].word), "war");
  EXPECT_EQ(firing.word(fires[1].word), "bomb");
  EXPECT_TRUE(firing.counterpart(0).empty());
}

}  // namespace
}  // namespace safesail
