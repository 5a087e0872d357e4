#include "select/pair_resamples.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/rng.h"
#include "select/pairs_testing.h"

namespace safesail {
namespace {

PairResamples of_all(const std::vector<ContrastPair>& pairs, std::size_t n, std::uint64_t seed) {
  return {pairs, all_of(pairs), n, seed};
}

TEST(PairResamples, DrawFinestConceptsWithAllTheirPairsAndTranslations) {
  const std::vector<ContrastPair> pairs =
      PairGrid{.n_domains = 2, .n_subclasses = 2, .languages = {"en", "zh"}}.pairs();
  const PairResamples resamples = of_all(pairs, 50, 1);
  ASSERT_EQ(resamples.n(), 50U);
  bool some_differ = false;
  for (std::size_t r = 0; r < resamples.n(); ++r) {
    std::map<std::string, std::set<int>> times;
    std::map<std::string, int> of_subclass;
    std::map<std::string, std::set<int>> exchanged;
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      times[pairs[p].concept_].insert(resamples.draw(r)[p]);
      of_subclass[pairs[p].subclass] += resamples.draw(r)[p];
      exchanged[pairs[p].id].insert(resamples.swap(r)[p]);
      some_differ |= resamples.draw(r)[p] != 1;
    }
    for (const auto& [concept_, counts] : times) EXPECT_EQ(counts.size(), 1U) << concept_;
    for (const auto& [subclass, n] : of_subclass) EXPECT_EQ(n, 5 * 4 * 2) << subclass;
    for (const auto& [id, sides] : exchanged) EXPECT_EQ(sides.size(), 1U) << id;
  }
  EXPECT_TRUE(some_differ);
  const DrawnFrom from = resamples.drawn_from(std::vector<std::size_t>{0, 1, 2, 3, 4, 79});
  EXPECT_EQ(from.n_units, 3U);  // two concepts of the first subclass, one of the last
  EXPECT_EQ(from.n_strata, 2U);
}

// Templates that stand in several target groups are drawn with all of them.
TEST(PairResamples, WhatCrossesSubclassesIsDrawnFromTheDomain) {
  std::vector<ContrastPair> pairs = PairGrid{.n_subclasses = 3}.pairs();
  for (ContrastPair& pair : pairs) pair.concept_ = "template " + pair.concept_.substr(12);
  const PairResamples resamples = of_all(pairs, 20, 1);
  const std::vector<std::size_t> all = all_of(pairs);
  EXPECT_EQ(resamples.drawn_from(all).n_units, 5U);
  EXPECT_EQ(resamples.drawn_from(all).n_strata, 1U);
  for (std::size_t r = 0; r < resamples.n(); ++r)
    for (std::size_t p = 0; p < 20; ++p) EXPECT_EQ(resamples.draw(r)[p], resamples.draw(r)[p + 40]);
}

TEST(PairResamples, PairsAreDrawnWhereASubclassIsOneConcept) {
  const std::vector<ContrastPair> pairs =
      PairGrid{.n_concepts = 1, .n_each = 12, .languages = {"en", "hi"}}.pairs();
  const PairResamples resamples = of_all(pairs, 30, 2);
  EXPECT_EQ(resamples.drawn_from(std::vector<std::size_t>{0, 1, 12, 13}).n_units, 2U);
  for (std::size_t r = 0; r < resamples.n(); ++r)
    for (std::size_t p = 0; p < 12; ++p) EXPECT_EQ(resamples.draw(r)[p], resamples.draw(r)[p + 12]);
}

// A mean of 5 normal numbers: the interval is near the textbook's t interval, whose half width in
// expectation is 2.776 / sqrt 5 times the mean sample deviation; 2,000 draws are within 5 %.
TEST(DrawnInterval, IsTheTIntervalOfAMean) {
  const std::vector<ContrastPair> pairs = PairGrid{.n_each = 1}.pairs();
  const PairResamples resamples = of_all(pairs, 2000, 3);
  Rng rng(7, "means");
  std::vector<double> values;
  double mean = 0, square = 0;
  for (int i = 0; i < 5; ++i) mean += values.emplace_back(rng.normal()) / 5;
  for (const double value : values) square += (value - mean) * (value - mean);
  std::vector<double> draws;
  for (std::size_t r = 0; r < resamples.n(); ++r) {
    double sum = 0;
    for (std::size_t p = 0; p < 5; ++p) sum += values[p] * resamples.draw(r)[p];
    draws.push_back(sum / 5);
  }
  const Estimate estimate =
      drawn_interval(mean, draws, resamples.drawn_from(std::vector<std::size_t>{0, 1, 2, 3, 4}));
  const double half = 2.776 * std::sqrt(square / 4 / 5);
  EXPECT_NEAR(estimate.high - mean, half, 0.05 * half);
  EXPECT_NEAR(mean - estimate.low, half, 0.05 * half);

  EXPECT_FALSE(drawn_interval(1, draws, {.n_units = 1, .n_strata = 1}).has_interval());
  draws.assign(draws.size(), std::nan(""));
  EXPECT_FALSE(drawn_interval(1, draws, {.n_units = 5, .n_strata = 1}).has_interval());
}

}  // namespace
}  // namespace safesail
