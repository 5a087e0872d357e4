#include "interpret/statistics.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using Values = std::vector<double>;

// Some 10 operations of doubles of like size.
constexpr double kTolerance = 1e-14;

TEST(MidRanks, TiesShareTheirMean) {
  EXPECT_THAT(mid_ranks(Values{30, 10, 20, 20, 5}), ElementsAre(5, 2, 3.5, 3.5, 1));
  EXPECT_TRUE(mid_ranks(Values{}).empty());
}

TEST(Pearson, ClosedForms) {
  EXPECT_NEAR(pearson(Values{1, 2, 3}, Values{5, 7, 9}), 1, kTolerance);
  EXPECT_NEAR(pearson(Values{1, 2, 3}, Values{1, 0, -1}), -1, kTolerance);
  EXPECT_NEAR(pearson(Values{-1, 0, 1}, Values{1, 0, 1}), 0, kTolerance);
  // Deviations (-1.5, -.5, .5, 1.5) and (-1, -1, 0, 2): 5 / sqrt(5 * 6).
  EXPECT_NEAR(pearson(Values{1, 2, 3, 4}, Values{1, 1, 2, 4}), 5 / std::sqrt(30.0), kTolerance);
  // Small spread on a large mean: what is left of 1e8 + 1 has no error.
  EXPECT_NEAR(pearson(Values{1e8, 1e8 + 1, 1e8 + 2}, Values{0, 1, 2}), 1, kTolerance);
}

TEST(Pearson, OfSomethingConstantIsUndefined) {
  EXPECT_TRUE(std::isnan(pearson(Values{.1, .1, .1}, Values{1, 2, 3})));
  EXPECT_TRUE(std::isnan(pearson(Values{1, 2, 3}, Values{0, 0, 0})));
  EXPECT_TRUE(std::isnan(pearson(Values{1}, Values{2})));
  EXPECT_TRUE(std::isnan(pearson(Values{}, Values{})));
  Judged judged;
  for (int i = 0; i < 999; ++i) judged.add(0.1F, i % 7, i % 10);
  const Estimate estimate = estimate_pearson(judged, 20, 1);
  EXPECT_TRUE(std::isnan(estimate.value)) << estimate.value;
  EXPECT_FALSE(estimate.has_interval());
}

TEST(Spearman, SeesOnlyTheOrder) {
  EXPECT_NEAR(spearman(Values{1, 2, 3, 4}, Values{1, 10, 100, 1000}), 1, kTolerance);
  // d = (0, 1, 1, 0): 1 - 6 * 2 / (4 * 15)
  EXPECT_NEAR(spearman(Values{1, 2, 3, 4}, Values{1, 3, 2, 4}), 0.8, kTolerance);
  // Ranks (1.5, 1.5, 3) and (1, 2, 3): 1.5 / sqrt(1.5 * 2)
  EXPECT_NEAR(spearman(Values{5, 5, 6}, Values{1, 2, 3}), 1.5 / std::sqrt(3.0), kTolerance);
  EXPECT_TRUE(std::isnan(spearman(Values{2, 2}, Values{1, 3})));
}

TEST(Auroc, CountsPairsAndHalvesTies) {
  EXPECT_EQ(auroc(Values{.1, .2, .8, .9}, Values{0, 0, 1, 1}), 1);
  EXPECT_EQ(auroc(Values{.9, .8, .2, .1}, Values{0, 0, 1, 1}), 0);
  EXPECT_EQ(auroc(Values{3, 3, 3, 3}, Values{0, 1, 1, 0}), 0.5);
  // Pairs: (.4 > .1) (.4 = .4) (.8 > .1) (.8 > .4): 3.5 of 4; a truth of 7 is positive too.
  EXPECT_EQ(auroc(Values{.4, .1, .4, .8}, Values{0, 0, 7, 1}), 3.5 / 4);
  EXPECT_TRUE(std::isnan(auroc(Values{1, 2}, Values{1, 1})));
  EXPECT_TRUE(std::isnan(auroc(Values{1, 2}, Values{0, 0})));
}

TEST(BalancedAccuracy, WeighsBothSidesAlike) {
  EXPECT_EQ(balanced_accuracy(Values{.5, .4, .1, .2, .9, 0}, Values{1, 1, 0, 0, 0, 0}),
            (.5 + .75) / 2);
  // Always yes is worth no more than chance, whatever the shares.
  EXPECT_EQ(balanced_accuracy(Values{1, 1, 1, 1}, Values{1, 1, 1, 0}), .5);
  EXPECT_TRUE(std::isnan(balanced_accuracy(Values{1, 1}, Values{1, 1})));
}

Judged drawn(std::uint64_t seed, std::size_t n, double slope) {
  Rng rng(seed, "statistics test");
  Judged judged;
  for (std::size_t i = 0; i < n; ++i) {
    const double truth = rng.normal();
    judged.add(slope * truth + rng.normal(), truth, i / 2);
  }
  return judged;
}

TEST(Estimates, HaveTheValuesOfThePlainStatistics) {
  const Judged judged = drawn(1, 501, 0.7);
  // Sums of 501 terms: n eps = 1e-13.
  EXPECT_NEAR(estimate_pearson(judged, 10, 1).value, pearson(judged.predicted, judged.truth),
              1e-12);
  EXPECT_EQ(estimate_auroc(judged, 10, 1).value, auroc(judged.predicted, judged.truth));
  EXPECT_EQ(estimate_balanced_accuracy(judged, 10, 1).value,
            balanced_accuracy(judged.predicted, judged.truth));
  EXPECT_EQ(judged.n_documents(), 251u);
}

// Independent x and y: r has a standard error of 1 / sqrt(n), the area of sqrt((n + 1) / (12 p q
// n^2)) = 1 / sqrt(3 n) for halves, the accuracy of .5 / sqrt(n). The ends of 1000 resamples'
// interval are known to some 6 %, the deviation in the sample to 1 / sqrt(2 documents) = 3 %: 25 %
// is three times both.
TEST(Estimates, HaveTheAnalyticIntervalsWhereUnitsAreIndependent) {
  constexpr std::size_t kUnits = 1000;
  const Judged judged = drawn(2, kUnits, 0);
  const double root = std::sqrt(double(kUnits));
  const auto expect_width = [](const Estimate& estimate, double standard_error) {
    EXPECT_NEAR(estimate.high - estimate.low, 2 * 1.96 * standard_error,
                .25 * 2 * 1.96 * standard_error);
  };
  expect_width(estimate_pearson(judged, 1000, 3), 1 / root);
  expect_width(estimate_auroc(judged, 1000, 3), 1 / std::sqrt(3.0) / root);
  expect_width(estimate_balanced_accuracy(judged, 1000, 3), .5 / root);
}

// Four copies of each unit in its document say no more than one.
TEST(Estimates, CopiesInADocumentDoNotNarrowTheInterval) {
  const Judged once = drawn(4, 400, 0.5);
  Judged copied;
  for (std::size_t i = 0; i < once.size(); ++i)
    for (int copy = 0; copy < 4; ++copy)
      copied.add(once.predicted[i], once.truth[i], once.document[i]);
  const Estimate a = estimate_auroc(once, 200, 9), b = estimate_auroc(copied, 200, 9);
  EXPECT_NEAR(a.low, b.low, 1e-12);
  EXPECT_NEAR(a.high, b.high, 1e-12);
  EXPECT_LT(a.low, a.value);
  EXPECT_LT(a.value, a.high);
}

TEST(Estimates, OfDifferencesArePaired) {
  // Two simulations that share nearly all their noise: each is uncertain, their difference is not.
  Rng rng(6, "paired");
  Judged first, second;
  for (std::size_t i = 0; i < 600; ++i) {
    const double truth = rng.normal(), noise = rng.normal();
    first.add(truth + 2 * noise, truth, i / 2);
    second.add(truth + 2 * noise + 0.05 * rng.normal(), truth, i / 2);
  }
  const std::vector<Judged> both = {first, second};
  const Estimate lead = estimate_weighted(both, Values{1, -1}, AgreementKind::pearson, 500, 1);
  const Estimate alone = estimate_pearson(first, 500, 1);
  EXPECT_NEAR(lead.value,
              pearson(first.predicted, first.truth) - pearson(second.predicted, second.truth),
              1e-12);
  EXPECT_LT(lead.high - lead.low, 0.1 * (alone.high - alone.low));
  EXPECT_EQ(estimate_weighted(both, Values{1, 0}, AgreementKind::pearson, 500, 1).low, alone.low)
      << "the same documents are drawn";
  EXPECT_EQ(estimate_weighted(both, Values{1, 0}, AgreementKind::balanced_accuracy, 500, 1).value,
            estimate_balanced_accuracy(first, 10, 1).value);
}

TEST(Estimates, AConstantOneIsAtChanceInADifference) {
  const Judged good = drawn(3, 300, 2);
  Judged constant = good;
  std::ranges::fill(constant.predicted, 0.25);
  const std::vector<Judged> both = {good, constant};
  EXPECT_NEAR(estimate_weighted(both, Values{1, -1}, AgreementKind::pearson, 10, 1).value,
              pearson(good.predicted, good.truth), 1e-12);
  EXPECT_NEAR(estimate_weighted(both, Values{0, 1}, AgreementKind::balanced_accuracy, 10, 1).value,
              0.5, 1e-12);
}

TEST(Estimates, OneDocumentHasNoInterval) {
  Judged judged;
  for (int i = 0; i < 10; ++i) judged.add(i, i % 3, 77);
  EXPECT_FALSE(estimate_auroc(judged, 100, 1).has_interval());
  EXPECT_FALSE(estimate_pearson(judged, 100, 1).has_interval());
}

}  // namespace
}  // namespace safesail
