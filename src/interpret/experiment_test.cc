#include "interpret/experiment.h"

#include <cmath>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "formats/json.h"

namespace safesail {
namespace {

using testing::HasSubstr;

constexpr Arm kToken{Scorer::token, 6}, kSegment{Scorer::segment, 6},
    kDetection{Scorer::detection, 6};

ArmScore arm_score(std::optional<double> score, std::uint64_t n_answered = 80,
                   std::uint64_t n_tokens = 0, double money = 0) {
  return {.score = score,
          .n_answered = n_answered,
          .cost = {.n_requests = 10, .usage = {.prompt = n_tokens}, .money = money}};
}

ScoredExplanation scored(int feature, std::vector<std::pair<Arm, ArmScore>> arms) {
  return {.feature = fmt::format("mlp_out.1/topk-k32:{}", feature), .arms = std::move(arms)};
}

const ArmAgreement& agreement(const ScorerComparison& comparison, const Arm& a, const Arm& b) {
  for (const ArmAgreement& row : comparison.agreement)
    if (row.first == a && row.second == b) return row;
  throw std::logic_error("no such pair");
}

TEST(CompareScorers, GivesAgreementAndMeans) {
  std::vector<ScoredExplanation> all;
  // Segment scores rise with the token scores, not in a line; detection falls.
  for (int i = 0; i < 30; ++i)
    all.push_back(scored(
        i, {{kSegment, arm_score(i * i)}, {kToken, arm_score(i)}, {kDetection, arm_score(-i)}}));
  all.push_back(scored(30, {{kToken, arm_score(3)}, {kDetection, arm_score(4)}}));
  const ScorerComparison comparison = compare_scorers(all, "lexical", "USD", 200);
  EXPECT_EQ(comparison.n_features, 31u);
  EXPECT_EQ(comparison.agreement.size(), 3u);
  const ArmAgreement& segment = agreement(comparison, kToken, kSegment);
  EXPECT_EQ(segment.n_explanations, 30u);
  EXPECT_NEAR(segment.spearman.value, 1, 1e-12);
  EXPECT_NEAR(segment.spearman.low, 1, 1e-12);
  EXPECT_LT(segment.pearson.value, 0.98);
  EXPECT_GT(segment.pearson.value, 0.95);
  EXPECT_TRUE(segment.pearson.has_interval());
  EXPECT_NEAR(agreement(comparison, kSegment, kDetection).spearman.value, -1, 1e-12);
  ASSERT_EQ(comparison.arms.size(), 3u);
  EXPECT_EQ(comparison.arms[0].arm, kToken);
  EXPECT_NEAR(comparison.arms[0].mean.value, (29 * 15 + 3) / 31.0, 1e-12);
}

// r of independent normals has a standard error of 1 / sqrt(n); the interval is 1.96 of it on
// either side, its ends known to some 10 %. Copies of an explanation say no more than one.
TEST(CompareScorers, HasTheAnalyticIntervalOverFeatures) {
  for (const int n_copies : {1, 3}) {
    Rng rng(4, "experiment test");
    std::vector<ScoredExplanation> all;
    for (int i = 0; i < 400; ++i) {
      const ScoredExplanation one =
          scored(i, {{kToken, arm_score(rng.normal())}, {kSegment, arm_score(rng.normal())}});
      for (int copy = 0; copy < n_copies; ++copy) all.push_back(one);
    }
    const ScorerComparison comparison = compare_scorers(all, "lexical", "", 1000);
    const Estimate& rho = comparison.agreement.front().spearman;
    EXPECT_NEAR(rho.high - rho.low, 2 * 1.96 / 20, 0.25 * 2 * 1.96 / 20) << n_copies;
    EXPECT_NEAR(rho.value, 0, 4.0 / 20);
  }
}

// A question costs 10 tokens by token and 6 by segment; what a request opens with costs 30, shared
// by the questions in it. 40 features have segment scores, 10 of them token scores too.
TEST(CompareScorers, TellsTheScorerFromTheBatch) {
  const auto cost = [](int per_question, int batch, int n_questions) {
    return static_cast<std::uint64_t>(n_questions * per_question + n_questions / batch * 30);
  };
  std::vector<ScoredExplanation> all;
  for (int i = 0; i < 40; ++i) {
    const int n = i % 2 == 0 ? 60 : 24;  // some have fewer windows
    std::vector<std::pair<Arm, ArmScore>> arms;
    for (const int batch : {3, 12}) {
      const auto count = static_cast<std::uint64_t>(n);
      arms.push_back({{Scorer::segment, batch}, arm_score(i, count, cost(6, batch, n))});
      if (i < 10) arms.push_back({{Scorer::token, batch}, arm_score(i, count, cost(10, batch, n))});
    }
    all.push_back(scored(i, std::move(arms)));
  }
  const ScorerComparison comparison = compare_scorers(all, "m", "", 100);
  ASSERT_EQ(comparison.arms.size(), 4u);
  EXPECT_EQ(to_string(comparison.arms[0].arm), "token x3");
  EXPECT_NEAR(comparison.arms[0].tokens_per_answer, 20, 1e-12);
  EXPECT_NEAR(comparison.arms[2].tokens_per_answer, 16, 1e-12)
      << "four times the features, no dearer";

  ASSERT_EQ(comparison.scorers.size(), 2u) << "segment against token, at either batch";
  EXPECT_EQ(comparison.scorers[0].n_explanations, 10u);
  EXPECT_NEAR(comparison.scorers[0].tokens.value, 16 / 20.0, 1e-12);
  EXPECT_NEAR(comparison.scorers[1].tokens.value, 8.5 / 12.5, 1e-12);
  EXPECT_TRUE(std::isnan(comparison.scorers[0].money.value)) << "nothing was paid";
  ASSERT_EQ(comparison.batches.size(), 2u) << "of tokens, of segments";
  EXPECT_NEAR(comparison.batches[0].tokens.value, 12.5 / 20, 1e-12);
  EXPECT_NEAR(comparison.batches[1].tokens.value, 8.5 / 16, 1e-12);

  const std::string table = comparison_table(comparison);
  EXPECT_THAT(table, HasSubstr("Segments against tokens, 3 questions a request: 20 % cheaper a "
                               "question (tokens), Spearman 1.00. Claimed are 55 % cheaper at 0.9: "
                               "not reached."));
  EXPECT_THAT(table,
              HasSubstr("Batching, token: 12 questions a request instead of 3 are 38 % cheaper "
                        "a question (tokens)."));
}

TEST(CompareScorers, SaysWhatBecameOfTheClaim) {
  const auto table = [&](double segment_money, double token_money) {
    std::vector<ScoredExplanation> all;
    for (int i = 0; i < 30; ++i)
      all.push_back(scored(i, {{kToken, arm_score(i, 80, 1000, token_money)},
                               {kSegment, arm_score(i, 80, 400, segment_money)}}));
    return comparison_table(compare_scorers(all, "some-model", "USD", 50));
  };
  EXPECT_THAT(table(2, 5), HasSubstr("60 % cheaper a question (money), Spearman 1.00. Claimed are "
                                     "55 % cheaper at 0.9: reached."));
  EXPECT_THAT(table(3, 5), HasSubstr("40 % cheaper a question (money)"));
  EXPECT_THAT(table(6, 5), HasSubstr("20 % dearer a question (money)"));
  EXPECT_THAT(table(0, 0), HasSubstr("60 % cheaper a question (tokens)"));
  EXPECT_THAT(comparison_table(compare_scorers({}, "m", "")), HasSubstr("not enough was measured"));
}

TEST(CompareScorers, LeavesOutWhatIsNotDefined) {
  const ScorerComparison comparison = compare_scorers(
      std::vector{scored(1, {{kToken, arm_score(1)}, {kSegment, arm_score(1)}}),
                  scored(2, {{kToken, arm_score(2)}, {kSegment, arm_score({}, 0)}})},
      "lexical", "");
  EXPECT_TRUE(std::isnan(comparison.agreement[0].spearman.value));
  const Json json = to_json(comparison);
  EXPECT_TRUE(json["agreement"][0]["spearman"]["value"].is_null());
  EXPECT_TRUE(json["arms"][1]["mean"]["value"].is_null());
  EXPECT_EQ(json["arms"].size(), 2u);
  EXPECT_EQ(json["arms"][0]["batch"], 6);
  EXPECT_THAT(comparison_table(comparison),
              HasSubstr("2 explanations of 2 features, simulator lexical"));
}

}  // namespace
}  // namespace safesail
