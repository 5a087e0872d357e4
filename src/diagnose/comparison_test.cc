#include "diagnose/comparison.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <gmock/gmock.h>

#include "base/error.h"
#include "base/rng.h"

namespace safesail {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class ComparisonTest : public ::testing::Test {
 protected:
  ComparisonTest() {
    const InputTransform none = identity_transform(2);
    const auto known = [](std::int32_t f, std::vector<std::string> domains) {
      return KnownFeature{.feature = f, .quantile = 1, .domains = std::move(domains)};
    };
    saes_.emplace_back("low", Site{SiteKind::mlp_out, 0}, Sae(SaeSpec::topk(2, 4, 1), none),
                       std::vector{known(0, {"terror"}), known(1, {})});
    saes_.emplace_back("high", Site{SiteKind::mlp_out, 5}, Sae(SaeSpec::topk(2, 4, 1), none),
                       std::vector{known(0, {"terror", "violence"})});
  }

  static TraceToken token(std::int32_t position, std::vector<TokenFeature> features) {
    TraceToken token;
    token.position = position;
    token.features = std::move(features);
    return token;
  }
  TraceFeature feature(std::size_t sae, std::int32_t index) const {
    const auto known = saes_[sae].known();
    return {&saes_[sae], index, {known, known->find(index)}};
  }

  std::vector<KnownSae> saes_;
};

TEST_F(ComparisonTest, AlignsByIdentityNotByPlace) {
  // The lists of the two traces name the same features in different places.
  const Trace a{
      "",
      {feature(0, 0), feature(1, 0), feature(0, 3)},
      {token(0, {{0, 1, 0.5}, {2, 9, kUnknown}}), token(1, {{0, 1, 0.75}, {1, 1, 0.25}})}};
  const Trace b{"", {feature(1, 0), feature(0, 1)}, {token(0, {{0, 1, 1.25}, {1, 1, 0.125}})}};
  const Comparison result = compare_traces(std::vector{a, b}, TracePart::question);
  EXPECT_THAT(result.n_tokens, ElementsAre(2, 1));
  EXPECT_EQ(result.n_drawn, 1);

  ASSERT_THAT(result.features, SizeIs(3));  // what has no quantile cannot be compared
  EXPECT_EQ(result.features[0].feature.sae, &saes_[1]);
  EXPECT_THAT(result.features[0].max, ElementsAre(0.25, 1.25));
  EXPECT_THAT(result.features[0].position, ElementsAre(1, 0));
  // One token drawn of two: the mean.
  EXPECT_THAT(result.features[0].expected, ElementsAre(0.125, 1.25));
  EXPECT_DOUBLE_EQ(result.features[0].spread(), 1.125);
  EXPECT_THAT(result.features[1].max, ElementsAre(0.75, 0));
  EXPECT_THAT(result.features[1].position, ElementsAre(1, -1));
  EXPECT_THAT(result.features[1].expected, ElementsAre(0.625, 0));
  EXPECT_THAT(result.features[2].max, ElementsAre(0, 0.125));

  ASSERT_THAT(result.domains, SizeIs(3));
  EXPECT_EQ(result.domains[0].domain, "terror");
  EXPECT_EQ(result.domains[0].layer, 0);
  EXPECT_THAT(result.domains[0].max, ElementsAre(0.75, 0));
  EXPECT_THAT(result.domains[0].expected, ElementsAre(0.625, 0));
  EXPECT_THAT(result.domains[0].mean, ElementsAre(DoubleEq((0.5 + 0.75) / 2), 0));
  EXPECT_EQ(result.domains[1].layer, 5);
  EXPECT_THAT(result.domains[1].mean, ElementsAre(0.125, 1.25));
  EXPECT_EQ(result.domains[2].domain, "violence");
}

TEST_F(ComparisonTest, SpecialTokensDoNotCount) {
  Trace a{"", {feature(0, 0)}, {token(0, {{0, 1, 3}}), token(1, {{0, 1, 0.5}})}};
  a.tokens[0].is_special = true;
  const Comparison result = compare_traces(std::vector{a, a}, TracePart::question);
  EXPECT_THAT(result.features.at(0).max, ElementsAre(0.5, 0.5));
  EXPECT_THAT(result.domains.at(0).mean, ElementsAre(0.5, 0.5));
}

TEST_F(ComparisonTest, ComparesQuestionsAndAnswersApart) {
  // Template and system prompt fire strongest, and are in neither.
  Trace a{"", {feature(0, 0)}, {}};
  const auto say = [&](const char* role, bool is_response, double normalised) {
    TraceToken& one = a.tokens.emplace_back(
        token(static_cast<std::int32_t>(a.tokens.size()), {{0, 1, normalised}}));
    one.role = role;
    one.is_response = is_response;
  };
  say("template", false, 9);
  say("system", false, 8);
  say("user", false, 0.25);
  say("assistant", false, 0.5);  // a turn before
  say("assistant", true, 2);
  Trace b = a;
  b.tokens.pop_back();  // no answer

  const Comparison question = compare_traces(std::vector{a, b}, TracePart::question);
  EXPECT_THAT(question.n_tokens, ElementsAre(2, 2));
  EXPECT_THAT(question.features.at(0).max, ElementsAre(0.5, 0.5));
  EXPECT_THAT(question.features.at(0).position, ElementsAre(3, 3));
  const Comparison answer = compare_traces(std::vector{a, b}, TracePart::answer);
  EXPECT_THAT(answer.n_tokens, ElementsAre(1, 0));
  EXPECT_EQ(answer.n_drawn, 1);
  EXPECT_EQ(answer.features.at(0).max[0], 2);
  EXPECT_TRUE(std::isnan(answer.features.at(0).max[1])) << "nothing was said";
  EXPECT_TRUE(std::isnan(answer.features.at(0).expected[1]));
  EXPECT_EQ(answer.features.at(0).spread(), 0);
  EXPECT_TRUE(std::isnan(answer.domains.at(0).mean[1]));
}

TEST_F(ComparisonTest, MoreTokensOfTheSameAreNotMoreActive) {
  // The same words in a language that needs four times the tokens: each of its tokens fires as the
  // word does, but for noise that both draw from.
  Rng rng(7, "noise");
  const int n_pairs = 400, n = 5, fertility = 4;
  double plain = 0, expected = 0;
  for (int pair = 0; pair < n_pairs; ++pair) {
    std::vector<Trace> two(2, Trace{"", {feature(0, 0)}, {}});
    for (int t = 0; t < n * fertility; ++t) {
      two[0].tokens.push_back(token(t, {{0, 1, rng.uniform()}}));
      if (t < n) two[1].tokens.push_back(token(t, {{0, 1, rng.uniform()}}));
    }
    const Comparison result = compare_traces(two, TracePart::question);
    plain += result.features.at(0).max[0] - result.features.at(0).max[1];
    expected += result.features.at(0).expected[0] - result.features.at(0).expected[1];
  }
  // Of uniform numbers the largest of n is n / (n + 1) on average: 20/21 - 5/6 = 0.119. A
  // difference has a deviation below 0.16, its mean over 400 pairs below 0.008; five of them are
  // 0.04.
  EXPECT_NEAR(plain / n_pairs, 20.0 / 21 - 5.0 / 6, 0.04);
  EXPECT_NEAR(expected / n_pairs, 0, 0.04);
}

TEST(ExpectedMaximum, IsTheMeanOverAllDraws) {
  const std::vector<double> all = {0.5, 0, 2, 0.25, 0, 0.5, 1};
  const auto n = static_cast<std::int64_t>(all.size());
  std::vector<double> values = all;
  std::erase(values, 0.0);
  for (std::int64_t n_drawn = 1; n_drawn <= n; ++n_drawn) {
    double sum = 0;
    int n_ways = 0;
    for (unsigned drawn = 0; drawn < 1U << n; ++drawn) {
      if (std::popcount(drawn) != n_drawn) continue;
      double largest = 0;
      for (std::size_t i = 0; i < all.size(); ++i)
        if ((drawn >> i & 1) != 0) largest = std::max(largest, all[i]);
      sum += largest;
      ++n_ways;
    }
    EXPECT_NEAR(expected_maximum(values, n, n_drawn), sum / n_ways, 1e-12) << n_drawn;
  }
  EXPECT_EQ(expected_maximum({}, 3, 2), 0);
  EXPECT_TRUE(std::isnan(expected_maximum({}, 0, 1)));
}

TEST(KnownSaeTest, RefusesAnAtlasOfAnotherSae) {
  const auto make = [](std::vector<std::int32_t> features) {
    std::vector<KnownFeature> known;
    for (const std::int32_t f : features) known.push_back({.feature = f});
    return KnownSae("sae", {}, Sae(SaeSpec::topk(2, 4, 1), identity_transform(2)), known);
  };
  EXPECT_NO_THROW(make({0, 3}));
  for (const auto& bad : {std::vector{4}, {-1}, {2, 2}}) EXPECT_THROW(make(bad), Error);
}

}  // namespace
}  // namespace safesail
