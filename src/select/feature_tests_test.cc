#include "select/feature_tests.h"

#include <gtest/gtest.h>

#include "select/pairs_testing.h"
#include "select/significance.h"

namespace safesail {
namespace {

// Two subclasses of twenty pairs. With the first one's concept alone all features fire in ten of
// its pairs; in the second's pairs 0 is silent, 1 does the same as in the first, 2 fires on both
// sides of all, 3 does as 1 but in another language.
TEST(FeatureTests, MustBeatTheOtherConceptsOfTheirLanguage) {
  const std::vector<ContrastPair> pairs =
      PairGrid{.n_subclasses = 2, .languages = {"en", "zh"}}.pairs();
  std::vector<std::string> left_out;
  const std::vector<Concept> concepts = concepts_of(pairs, all_of(pairs), 8, left_out);
  ASSERT_EQ(concepts.size(), 6U);  // four subclasses, a domain in each language
  PairFiring firing(pairs.size(), 4);
  for (const std::size_t i : {0U, 1U}) {
    for (std::size_t j = 0; j < 20; ++j) {
      const std::size_t pair = concepts[i].pairs[j];
      std::vector<PairFiring::Firing> with, without;
      if (i == 0 && j < 10) with = {{0, 1}, {1, 1}, {2, 1}, {3, 1}};
      if (i == 1 && j < 10) with = {{1, 1}, {2, 1}};
      if (i == 1 && j >= 10) with = {{2, 1}};
      if (i == 1) without = {{2, 2}};
      firing.set(2 * pair, with);
      firing.set(2 * pair + 1, without);
    }
  }
  for (std::size_t j = 0; j < 10; ++j) firing.set(2 * concepts[3].pairs[j], {{3, 1}});

  const std::vector<FiringCounts> counts = count_firing(firing, concepts);
  const std::vector<FeatureContrast> tested = test_features(firing, concepts, 0, counts, {});
  ASSERT_EQ(tested.size(), 4U);
  for (const FeatureContrast& contrast : tested) {
    EXPECT_EQ(contrast.n_forward, 10);
    EXPECT_EQ(contrast.n_firing, 10);
    EXPECT_DOUBLE_EQ(contrast.p_contrast, sign_test(10, 0));
    EXPECT_EQ(contrast.rival, 1);
    EXPECT_DOUBLE_EQ(contrast.effect, 0.5);
  }
  EXPECT_DOUBLE_EQ(tested[0].p_specific, fisher_test(10, 20, 0, 20));
  EXPECT_DOUBLE_EQ(tested[0].p, tested[0].p_contrast);
  EXPECT_EQ(tested[1].p, 1);
  EXPECT_EQ(tested[1].p_specific, 1) << "it fires as often in the other's texts";
  EXPECT_EQ(tested[1].rival_forward, 10);
  EXPECT_EQ(tested[2].p_specific, 1);
  EXPECT_EQ(tested[2].rival_firing, 20);
  EXPECT_EQ(tested[2].rival_forward, 0);
  EXPECT_DOUBLE_EQ(tested[3].p_specific, tested[0].p_specific);

  // A domain has no rival where there is but one.
  const std::vector<FeatureContrast> domain = test_features(firing, concepts, 4, counts, {});
  ASSERT_FALSE(domain.empty());
  EXPECT_EQ(domain[0].rival, -1);
  EXPECT_EQ(domain[0].p, domain[0].p_contrast);
}

TEST(FeatureTests, QIsOverAllSaesAndConcepts) {
  const auto contrast = [](std::int32_t feature, double p) {
    FeatureContrast result;
    result.feature = feature;
    result.p = p;
    return result;
  };
  // Feature 7 of the first SAE in two concepts, of the second in one: two families, not one.
  std::vector<SaeTests> saes = {{{contrast(7, 0.01)}, {contrast(7, 0.5), contrast(8, 0.9)}},
                                {{contrast(7, 0.03)}, {}}};
  control_false_discoveries(saes);
  const std::vector<double> q = two_level_q(std::vector<double>{0.01, 0.5, 0.9, 0.03},
                                            std::vector<std::size_t>{0, 0, 1, 2}, 3);
  EXPECT_EQ(saes[0][0][0].q, q[0]);
  EXPECT_EQ(saes[0][1][0].q, q[1]);
  EXPECT_EQ(saes[0][1][1].q, q[2]);
  EXPECT_EQ(saes[1][0][0].q, q[3]);
  EXPECT_DOUBLE_EQ(saes[0][0][0].q, 0.045);  // Simes .02 of the first family, .03 of the third
}

}  // namespace
}  // namespace safesail
