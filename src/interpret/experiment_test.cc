#include "interpret/experiment.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "formats/json.h"

namespace safesail {
namespace {

using testing::HasSubstr;

ScoredFeature scored(std::optional<double> segment, std::optional<double> token,
                     std::optional<double> detection, std::optional<double> fuzzing) {
  return {.feature = "mlp_out.1:1", .score = {segment, token, detection, fuzzing}};
}

ScorerCost cost_of(std::uint64_t prompt, std::uint64_t completion, double money) {
  return {.n_requests = 10, .usage = {.prompt = prompt, .completion = completion}, .money = money};
}

// By Scorer: segment, token, detection, fuzzing.
const std::array<ScorerCost, 4> kCosts = {cost_of(300, 60, 2), cost_of(800, 100, 5),
                                          cost_of(180, 0, 1), cost_of(225, 0, 1)};

const ScorerAgreement& agreement(const ScorerComparison& comparison, Scorer a, Scorer b) {
  for (const ScorerAgreement& row : comparison.agreement)
    if (row.first == a && row.second == b) return row;
  throw std::logic_error("no such pair");
}

TEST(CompareScorers, GivesAgreementAndCost) {
  std::vector<ScoredFeature> features;
  // Segment scores rise with the token scores, not in a line; detection falls.
  for (int i = 0; i < 30; ++i) features.push_back(scored(i * i, i, -i, i % 2));
  features.push_back(scored(std::nullopt, 3, 4, 5));  // no segment score: counts elsewhere
  const ScorerComparison comparison = compare_scorers(features, kCosts, "lexical", "USD", 200);
  EXPECT_EQ(comparison.n_features, 31u);
  EXPECT_EQ(comparison.agreement.size(), 6u);

  const ScorerAgreement& segment = agreement(comparison, Scorer::token, Scorer::segment);
  EXPECT_EQ(segment.n_features, 30u);
  EXPECT_NEAR(segment.spearman.value, 1, 1e-12);
  EXPECT_NEAR(segment.spearman.low, 1, 1e-12);
  EXPECT_LT(segment.pearson.value, 0.98);
  EXPECT_GT(segment.pearson.value, 0.95);
  EXPECT_TRUE(segment.pearson.has_interval());
  EXPECT_NEAR(agreement(comparison, Scorer::segment, Scorer::detection).spearman.value, -1, 1e-12);

  ASSERT_EQ(comparison.scorers.size(), 4u);
  EXPECT_EQ(comparison.scorers[0].scorer, Scorer::token);
  EXPECT_NEAR(comparison.scorers[0].mean.value, (29 * 15 + 3) / 31.0, 1e-12);
  EXPECT_EQ(comparison.scorers[0].relative_tokens, 1);
  EXPECT_EQ(comparison.scorers[1].relative_tokens, 0.4);
  EXPECT_EQ(comparison.scorers[1].relative_money, 0.4);
  EXPECT_EQ(comparison.scorers[2].relative_tokens, 0.2);
  EXPECT_EQ(comparison.scorers[3].relative_tokens, 0.25);
}

// r of independent normals has a standard error of 1 / sqrt(n); the interval is 1.96 of it on
// either side, its ends known to some 10 %.
TEST(CompareScorers, HasTheAnalyticInterval) {
  Rng rng(4, "experiment test");
  std::vector<ScoredFeature> features;
  for (int i = 0; i < 400; ++i)
    features.push_back(scored(rng.normal(), rng.normal(), rng.normal(), rng.normal()));
  const ScorerComparison comparison = compare_scorers(features, {}, "lexical", "", 1000);
  for (const ScorerAgreement& row : comparison.agreement) {
    EXPECT_NEAR(row.spearman.high - row.spearman.low, 2 * 1.96 / 20, 0.25 * 2 * 1.96 / 20);
    EXPECT_NEAR(row.spearman.value, 0, 4.0 / 20);
  }
}

TEST(CompareScorers, SaysWhatBecameOfTheClaim) {
  std::vector<ScoredFeature> features;
  for (int i = 0; i < 30; ++i) features.push_back(scored(i, i, i, i));
  const auto table = [&](const std::array<ScorerCost, 4>& costs) {
    return comparison_table(compare_scorers(features, costs, "some-model", "USD", 50));
  };
  EXPECT_THAT(
      table(kCosts),
      HasSubstr("60 % cheaper (money), Spearman 1.00. Claimed are 55 % cheaper at 0.9: reached."));
  std::array<ScorerCost, 4> costs = kCosts;
  costs[0].money = 3;
  EXPECT_THAT(
      table(costs),
      HasSubstr(
          "40 % cheaper (money), Spearman 1.00. Claimed are 55 % cheaper at 0.9: not reached."));
  costs[0].money = 6;
  EXPECT_THAT(table(costs), HasSubstr("20 % dearer (money)"));
  for (ScorerCost& cost : costs) cost.money = 0;
  EXPECT_THAT(table(costs), HasSubstr("60 % cheaper (tokens)"));
  EXPECT_THAT(table({}), HasSubstr("not enough was measured"));
}

TEST(CompareScorers, LeavesOutWhatIsNotDefined) {
  const ScorerComparison comparison =
      compare_scorers(std::vector{scored(1, 1, {}, {}), scored(2, 2, {}, {})}, {}, "lexical", "");
  EXPECT_TRUE(std::isnan(comparison.agreement[0].spearman.value));
  const Json json = Json::parse(to_json(comparison));
  EXPECT_TRUE(json["agreement"][0]["spearman"]["value"].is_null());
  EXPECT_TRUE(json["scorers"][2]["mean"]["value"].is_null());
  EXPECT_EQ(json["scorers"].size(), 4u);
  EXPECT_THAT(comparison_table(comparison), HasSubstr("2 features, simulator lexical"));
}

}  // namespace
}  // namespace safesail
