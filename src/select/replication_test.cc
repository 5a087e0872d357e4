// Features of which the truth is known, chosen or not, on pairs that had no part in it.
#include "select/replication.h"

#include <array>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/rng.h"
#include "select/pairs_testing.h"
#include "select/selection.h"

namespace safesail {
namespace {

using Firing = PairFiring::Firing;

std::vector<Concept> all_concepts(const std::vector<ContrastPair>& pairs) {
  std::vector<std::string> left_out;
  return concepts_of(pairs, all_of(pairs), 1, left_out);
}

TEST(SplitPairs, HoldsOutFinestConceptsOfEverySubclassWithTheirTranslations) {
  const std::vector<ContrastPair> pairs = PairGrid{
      .n_domains = 2,
      .n_subclasses = 2,
      .n_concepts = 10,
      .languages = {"en", "zh"}}.pairs();
  const PairUnits units(pairs);
  const PairSplit split = split_pairs(units, 0.5, 1);
  EXPECT_EQ(split.held_out.size(), pairs.size() / 2);
  EXPECT_EQ(split.choosing.size(), pairs.size() / 2);
  std::map<std::string, std::set<std::string>> of_subclass;
  std::set<std::string> held;
  for (const std::size_t p : split.held_out) {
    of_subclass[pairs[p].subclass].insert(pairs[p].concept_);
    held.insert(pairs[p].concept_);
  }
  for (const auto& [subclass, concepts] : of_subclass) EXPECT_EQ(concepts.size(), 5U) << subclass;
  EXPECT_EQ(of_subclass.size(), 4U);
  for (const std::size_t p : split.choosing) EXPECT_FALSE(held.contains(pairs[p].concept_));

  EXPECT_EQ(split_pairs(units, 0.5, 1).held_out, split.held_out);
  EXPECT_NE(split_pairs(units, 0.5, 2).held_out, split.held_out);
  EXPECT_TRUE(split_pairs(units, 0, 1).held_out.empty());
  EXPECT_EQ(split_pairs(units, 0.01, 1).held_out.size(), 4U * 4 * 2) << "at least one of each";
}

TEST(SplitPairs, OfASingleFinestConceptHoldsOutPairs) {
  const std::vector<ContrastPair> pairs =
      PairGrid{.n_concepts = 1, .n_each = 12, .languages = {"en", "hi"}}.pairs();
  const PairSplit split = split_pairs(PairUnits(pairs), 0.25, 3);
  std::set<std::string> ids;
  for (const std::size_t p : split.held_out) ids.insert(pairs[p].id);
  EXPECT_EQ(split.held_out.size(), 6U);
  EXPECT_EQ(ids.size(), 3U) << "with its translation";
}

// Two subclasses of two pairs. Maxima with the concept 3 and 1, in the counterparts 1 and 0; with
// the rival concept 3 and 0: against twins (3 > 1, 3 > 0, 1 = 1, 1 > 0) 3.5 of 4, against the
// others (3 = 3, 3 > 0, 1 < 3, 1 > 0) 2.5 of 4.
TEST(Replication, ByHand) {
  const std::vector<ContrastPair> pairs =
      PairGrid{.n_subclasses = 2, .n_concepts = 2, .n_each = 1}.pairs();
  PairFiring firing(4, 8);
  firing.set(0, {{2, 9}, {5, 3}});
  firing.set(1, {{5, 1}, {6, 1}});
  firing.set(2, {{5, 1}});
  firing.set(3, {{4, 2}});
  firing.set(4, {{5, 3}});
  const PairResamples resamples(pairs, all_of(pairs), 50, 0);
  const Replication result = replicate(firing, 5, all_concepts(pairs), 0, resamples);
  EXPECT_EQ(result.n_pairs, 2U);
  EXPECT_DOUBLE_EQ(result.twins.value, 3.5 / 4);
  EXPECT_DOUBLE_EQ(result.others.value, 2.5 / 4);
  EXPECT_TRUE(result.twins.has_interval());
  // The domain has no rival.
  const Replication domain = replicate(firing, 5, all_concepts(pairs), 2, resamples);
  EXPECT_EQ(domain.n_pairs, 4U);
  EXPECT_FALSE(domain.others.has_interval());
  EXPECT_FALSE(domain.is_specific());
}

/// Each finest concept sets a feature off in all its texts or in none, by its rates on either side.
PairFiring by_concept(std::size_t n_pairs, std::int32_t n_features, double rate, double twin_rate,
                      Rng& rng) {
  PairFiring firing(n_pairs, n_features);
  std::vector<std::array<bool, 2>> fires(static_cast<std::size_t>(n_features));
  for (std::size_t p = 0; p < n_pairs; ++p) {
    if (p % 4 == 0)
      for (auto& sides : fires) sides = {rng.uniform() < rate, rng.uniform() < twin_rate};
    for (std::size_t side = 0; side < 2; ++side) {
      std::vector<Firing> own;
      for (std::int32_t f = 0; f < n_features; ++f)
        if (fires[static_cast<std::size_t>(f)][side])
          own.push_back({f, static_cast<float>(1 + rng.uniform())});
      firing.set(2 * p + side, own);
    }
  }
  return firing;
}

/// Of features that are set off at these rates, the share that replicates.
double share_replicated(int n_concepts, double rate, double twin_rate) {
  const std::vector<ContrastPair> pairs = PairGrid{.n_concepts = n_concepts}.pairs();
  constexpr std::int32_t kFeatures = 1000;
  Rng rng(5, "replication");
  const PairFiring firing = by_concept(pairs.size(), kFeatures, rate, twin_rate, rng);
  const PairResamples resamples(pairs, all_of(pairs), 200, 1);
  const std::vector<Concept> concepts = all_concepts(pairs);
  int n = 0;
  for (std::int32_t f = 0; f < kFeatures; ++f)
    n += replicate(firing, f, concepts, 0, resamples).replicates();
  return n / static_cast<double>(kFeatures);
}

// One side of a 95 % interval: 2.5 % of features that know nothing, even though all pairs of a
// finest concept go together. A thousand have a standard error of .5 %.
TEST(Replication, IsRareForFeaturesThatKnowNothing) {
  EXPECT_LE(share_replicated(5, 0.4, 0.4), 0.04);
  EXPECT_LE(share_replicated(10, 0.4, 0.4), 0.04);
  EXPECT_LE(share_replicated(20, 0.2, 0.2), 0.04);
}

TEST(Replication, IsTheRuleForFeaturesOfTheConcept) {
  EXPECT_GE(share_replicated(10, 0.9, 0.1), 0.95);
  EXPECT_GE(share_replicated(20, 0.6, 0.1), 0.9);
}

// A feature of one word fires in all pairs of a finest concept and in no other: where that concept
// chose it, it does not come again; where it is held out with four others, one of five is no proof.
TEST(Replication, FeaturesOfOneWordDoNot) {
  const std::vector<ContrastPair> pairs = PairGrid{}.pairs();
  PairFiring firing(pairs.size(), 1);
  for (std::size_t p = 0; p < 4; ++p) firing.set(2 * p, {{0, 1}});
  const Replication result =
      replicate(firing, 0, all_concepts(pairs), 0, PairResamples(pairs, all_of(pairs), 200, 1));
  EXPECT_NEAR(result.twins.value, 0.6, 1e-12);
  EXPECT_FALSE(result.replicates());
}

// Two words of one finest concept each, and others that set it off in every pair: without its top
// word a feature of many words is still one of the concept, and one of a few is not.
TEST(Replication, TellsFeaturesOfOneWordFromThoseOfMany) {
  const std::vector<ContrastPair> pairs = PairGrid{.n_concepts = 10}.pairs();
  PairFiring firing(pairs.size(), 2);
  firing.set_words(std::make_shared<const std::vector<std::string>>(
      std::vector<std::string>{"war", "siege", "raid", "troops"}));
  for (std::size_t p = 0; p < pairs.size(); ++p)
    firing.set(2 * p, {{0, 1, static_cast<std::uint32_t>(p % 4)},
                       {1, p % 8 == 7 ? 0.5F : 1, p % 8 == 7 ? 2U : 0U}});
  const PairResamples resamples(pairs, all_of(pairs), 200, 1);
  const Replication many = replicate(firing, 0, all_concepts(pairs), 0, resamples),
                    one = replicate(firing, 1, all_concepts(pairs), 0, resamples);
  EXPECT_EQ(many.n_without, 30U);
  EXPECT_FALSE(many.is_one_word());
  EXPECT_TRUE(one.replicates());
  EXPECT_EQ(one.top_token, "war");
  EXPECT_EQ(one.n_without, 5U);
  EXPECT_DOUBLE_EQ(one.without.value, 1);  // of five concepts, a pair each: nothing that differs
  firing.set(2 * 7, {});
  firing.set(2 * 23, {});
  EXPECT_TRUE(replicate(firing, 1, all_concepts(pairs), 0, resamples).is_one_word());
}

// A feature of danger at large tells its concepts from their counterparts and from no other danger.
TEST(Replication, OfDangerAtLargeIsNotSpecific) {
  const std::vector<ContrastPair> pairs = PairGrid{.n_subclasses = 4, .n_concepts = 10}.pairs();
  PairFiring firing(pairs.size(), 2);  // 0: danger, 1: of the first subclass
  Rng rng(2, "danger");
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    std::vector<Firing> own;
    if (rng.uniform() < 0.8) own.push_back({0, static_cast<float>(1 + rng.uniform())});
    if (p < 40 && rng.uniform() < 0.8) own.push_back({1, static_cast<float>(1 + rng.uniform())});
    firing.set(2 * p, own);
  }
  const PairResamples resamples(pairs, all_of(pairs), 200, 1);
  const Replication danger = replicate(firing, 0, all_concepts(pairs), 0, resamples),
                    own = replicate(firing, 1, all_concepts(pairs), 0, resamples);
  EXPECT_TRUE(danger.replicates());
  EXPECT_FALSE(danger.is_specific());
  EXPECT_TRUE(own.replicates());
  EXPECT_TRUE(own.is_specific());
}

// Of many features that know nothing the best are chosen; on what did not choose them they are
// nothing again, where the features of a concept stay what they are.
TEST(Replication, UndoesWhatChoosingTheBestOfManyMakes) {
  const std::vector<ContrastPair> pairs =
      PairGrid{.n_domains = 2, .n_subclasses = 2, .n_concepts = 10}.pairs();
  constexpr std::int32_t kNoise = 600;
  Rng rng(9, "noise and one");
  const PairFiring noise = by_concept(pairs.size(), kNoise, 0.35, 0.35, rng);
  PairFiring firing(pairs.size(), kNoise + 1);
  for (std::size_t text = 0; text < 2 * pairs.size(); ++text) {
    const auto known = text % 2 == 0 ? noise.with_concept(text / 2) : noise.counterpart(text / 2);
    std::vector<Firing> own(known.begin(), known.end());
    if (text % 2 == 0 && text / 2 < 40 && rng.uniform() < 0.9) own.push_back({kNoise, 1});
    firing.set(text, own);
  }
  SilentReporter silent;
  const SaeIdentity id{.site = "mlp_out.1",
                       .output_site = "mlp_out.1",
                       .architecture = "topk",
                       .k = 8,
                       .n_features = kNoise + 1};
  // A rate at which noise that goes together within finest concepts passes in numbers.
  const FeatureSelection selection = select_from_firing(
      {id}, {firing}, pairs, {.tests = {.false_discovery_rate = 0.5}}, silent, {});
  const Precision precision = selection.precision();
  EXPECT_GT(precision.n_accepted, 10U);
  std::size_t n_noise = 0, n_noise_replicated = 0;
  bool is_found = false;
  for (const ConceptSelection& concept_ : selection.saes[0].concepts)
    for (const FeatureContrast& contrast : concept_.candidates) {
      n_noise += contrast.feature < kNoise;
      n_noise_replicated += contrast.feature < kNoise && contrast.held_out.replicates();
      is_found |= contrast.feature == kNoise && contrast.held_out.replicates() &&
                  contrast.held_out.is_specific();
    }
  EXPECT_TRUE(is_found);
  EXPECT_GT(n_noise, 8U);
  EXPECT_LE(static_cast<double>(n_noise_replicated), 0.15 * static_cast<double>(n_noise));
}

// Newcombe (1998), Statistics in Medicine 17, 857, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
TEST(Wilson, IsAsPublished) {
  const auto expect = [](std::size_t hits, std::size_t n, double low, double high) {
    const Estimate estimate = wilson(hits, n);
    EXPECT_NEAR(estimate.low, low, 5e-5) << hits << " of " << n;
    EXPECT_NEAR(estimate.high, high, 5e-5) << hits << " of " << n;
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
  EXPECT_FALSE(wilson(0, 0).has_interval());
}

}  // namespace
}  // namespace safesail
