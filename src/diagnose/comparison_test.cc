#include "diagnose/comparison.h"

#include <gmock/gmock.h>

#include "base/error.h"

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
    return {&saes_[sae], index, saes_[sae].find(index)};
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
  const Comparison result = compare_traces(std::vector{a, b});

  ASSERT_THAT(result.features, SizeIs(3));  // what has no quantile cannot be compared
  EXPECT_EQ(result.features[0].feature.sae, &saes_[1]);
  EXPECT_THAT(result.features[0].max, ElementsAre(0.25, 1.25));
  EXPECT_THAT(result.features[0].position, ElementsAre(1, 0));
  EXPECT_THAT(result.features[1].max, ElementsAre(0.75, 0));
  EXPECT_THAT(result.features[1].position, ElementsAre(1, -1));
  EXPECT_THAT(result.features[2].max, ElementsAre(0, 0.125));
  EXPECT_DOUBLE_EQ(result.features[0].spread(), 1);

  ASSERT_THAT(result.domains, SizeIs(3));
  EXPECT_EQ(result.domains[0].domain, "terror");
  EXPECT_EQ(result.domains[0].layer, 0);
  EXPECT_THAT(result.domains[0].max, ElementsAre(0.75, 0));
  EXPECT_THAT(result.domains[0].mean, ElementsAre(DoubleEq((0.5 + 0.75) / 2), 0));
  EXPECT_EQ(result.domains[1].layer, 5);
  EXPECT_THAT(result.domains[1].mean, ElementsAre(0.125, 1.25));
  EXPECT_EQ(result.domains[2].domain, "violence");
}

TEST_F(ComparisonTest, SpecialTokensDoNotCount) {
  Trace a{"", {feature(0, 0)}, {token(0, {{0, 1, 3}}), token(1, {{0, 1, 0.5}})}};
  a.tokens[0].is_special = true;
  const Comparison result = compare_traces(std::vector{a, a});
  EXPECT_THAT(result.features.at(0).max, ElementsAre(0.5, 0.5));
  EXPECT_THAT(result.domains.at(0).mean, ElementsAre(0.5, 0.5));
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
