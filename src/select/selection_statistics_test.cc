// What selection promises, tried on simulated firing of which the truth is known: false discoveries
// over all that it searches, features that are specific, intervals that hold what they say.
#include <cmath>
#include <gtest/gtest.h>
#include <set>
#include <utility>

#include "base/rng.h"
#include "select/pairs_testing.h"
#include "select/selection.h"

namespace safesail {
namespace {

using Firing = PairFiring::Firing;

FeatureSelection select(const std::vector<PairFiring>& firing,
                        const std::vector<ContrastPair>& pairs, SelectConfig config) {
  config.held_out_share = 0;  // what is promised of the pairs that choose
  std::vector<SaeIdentity> ids;
  for (std::size_t s = 0; s < firing.size(); ++s)
    ids.push_back({.site = "mlp_out.1",
                   .output_site = "mlp_out.1",
                   .architecture = "topk",
                   .k = static_cast<std::int64_t>(8 * (s + 1)),
                   .n_features = firing[s].n_features()});
  SilentReporter silent;
  return select_from_firing(ids, firing, pairs, config, silent, {});
}

/// Features accepted anywhere, of one SAE.
std::set<std::int32_t> accepted(const SaeSelection& sae) {
  std::set<std::int32_t> features;
  for (const ConceptSelection& concept_ : sae.concepts)
    for (const FeatureContrast& contrast : concept_.candidates) features.insert(contrast.feature);
  return features;
}

/// Features that know nothing: those of one tenth fire together nine times of ten, at a rate of the
/// tenth's own.
void add_noise(std::int32_t first, std::int32_t n, Rng& rng, std::vector<Firing>& fires) {
  bool together = false;
  for (std::int32_t f = first; f < first + n; ++f) {
    const double rate = 0.05 + 0.5 * (f / 10 % 8) / 8.0;
    if (f % 10 == 0) together = rng.uniform() < rate;
    if (rng.uniform() < 0.9 ? together : rng.uniform() < rate) fires.push_back({f, 1});
  }
}

/// How many of 60 selections from nothing but noise find any feature, and any concept, at a rate of
/// a tenth: three SAEs of 150 correlated features, two languages.
std::pair<int, int> n_with_discoveries(const PairGrid& grid) {
  const std::vector<ContrastPair> pairs = grid.pairs();
  int n_with_any = 0, n_with_concept = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    Rng rng(run, "null selection");
    std::vector<PairFiring> firing(3, PairFiring(pairs.size(), 150));
    for (PairFiring& sae : firing)
      for (std::size_t text = 0; text < 2 * pairs.size(); ++text) {
        std::vector<Firing> fires;
        add_noise(0, 150, rng, fires);
        sae.set(text, fires);
      }
    const FeatureSelection selection =
        select(firing, pairs, {.tests = {.false_discovery_rate = 0.1}, .n_resamples = 40});
    bool any = false, any_concept = false;
    for (const SaeSelection& sae : selection.saes) {
      any |= !accepted(sae).empty();
      for (const ConceptSelection& concept_ : sae.concepts) any_concept |= concept_.q <= 0.1;
    }
    n_with_any += any;
    n_with_concept += any_concept;
  }
  return {n_with_any, n_with_concept};
}

// Where nothing is true, a false discovery rate is the probability of any discovery at all, in
// whichever SAE, concept or language. Binomial(60, .1): 13 or more have probability below .01.
TEST(SelectionStatistics, FindNothingAnywhereWhereNothingIs) {
  const auto [n_features, n_concepts] =
      n_with_discoveries({.n_domains = 3, .n_subclasses = 3, .languages = {"en", "zh"}});
  EXPECT_LE(n_features, 12);
  EXPECT_LE(n_concepts, 12);
  // A single subclass has no rivals: the contrast with the counterparts stands alone.
  const auto [n_alone, n_concepts_alone] =
      n_with_discoveries({.n_concepts = 10, .languages = {"en", "zh"}});
  EXPECT_LE(n_alone, 12);
  EXPECT_LE(n_concepts_alone, 12);
}

// Planted: features of one subclass, of a whole domain, and of danger at large, which fire on the
// concept side of most subclasses. The first two are found where they belong, the last for no
// subclass and hardly ever for a domain, and no more of the features accepted are false than is
// said.
TEST(SelectionStatistics, FindWhatStandsForItsConceptAlone) {
  const std::vector<ContrastPair> pairs = PairGrid{.n_domains = 3, .n_subclasses = 3}.pairs();
  constexpr std::int32_t kOfSubclass = 9, kOfDomain = 3, kOfDanger = 10, kPlanted = 22, kAll = 400;
  const auto is_danger = [](std::int32_t f) {
    return f >= kOfSubclass + kOfDomain && f < kPlanted;
  };
  constexpr int n_runs = 25;
  double false_share = 0, n_found = 0, n_danger = 0;
  for (int run = 0; run < n_runs; ++run) {
    Rng rng(static_cast<std::uint64_t>(run), "planted selection");
    PairFiring firing(pairs.size(), kAll);
    for (std::size_t text = 0; text < 2 * pairs.size(); ++text) {
      const auto subclass = static_cast<std::int32_t>(text / 2 / 20), domain = subclass / 3;
      const bool with_concept = text % 2 == 0;
      std::vector<Firing> fires;
      for (std::int32_t f = 0; f < kPlanted; ++f) {
        const bool own = f < kOfSubclass               ? f == subclass
                         : f < kOfSubclass + kOfDomain ? f - kOfSubclass == domain
                                                       : domain < 2;  // danger: six of nine
        if (rng.uniform() < (own && with_concept ? 0.9 : 0.05)) fires.push_back({f, 1});
      }
      add_noise(kPlanted, kAll - kPlanted, rng, fires);
      firing.set(text, fires);
    }
    const FeatureSelection selection = select({firing}, pairs, {.n_resamples = 20});
    double wrong = 0;
    const std::set<std::int32_t> all = accepted(selection.saes[0]);
    for (const std::int32_t f : all) {
      n_found += f < kOfSubclass + kOfDomain;
      n_danger += is_danger(f);
      wrong += f >= kPlanted;
    }
    false_share += all.empty() ? 0 : wrong / static_cast<double>(all.size()) / n_runs;
    for (std::size_t c = 0; c < 9; ++c)  // the subclasses; domains come last
      for (const FeatureContrast& contrast : selection.saes[0].concepts[c].candidates) {
        const std::int32_t f = contrast.feature;
        EXPECT_FALSE(is_danger(f)) << f << " for " << selection.concepts[c].name;
        EXPECT_TRUE(f >= kOfSubclass || f == static_cast<std::int32_t>(c))
            << f << " for " << selection.concepts[c].name;
      }
  }
  EXPECT_GE(n_found, 0.95 * n_runs * (kOfSubclass + kOfDomain));
  // Two domains of three tie, and either may seem the stronger one in a twentieth.
  EXPECT_LE(n_danger, 2 * 0.05 * n_runs * kOfDanger);
  // 5 % in expectation; the mean of 25 shares of about 13 has a standard error near .013.
  EXPECT_LE(false_share, 0.05 + 3 * 0.013);
}

/// Features that a finest concept sets off in all of its pairs or in none: each has a rate of its
/// own, and fires now and then besides, on both sides. Languages say the same.
PairFiring clustered(const std::vector<ContrastPair>& pairs, std::size_t n_languages,
                     std::int32_t n_features, Rng& rng) {
  PairFiring firing(pairs.size(), n_features);
  const std::size_t n = pairs.size() / n_languages;
  std::vector<bool> set_off(static_cast<std::size_t>(n_features));
  for (std::size_t p = 0; p < n; ++p) {
    if (p % 4 == 0)
      for (std::size_t f = 0; f < set_off.size(); ++f)
        set_off[f] = rng.uniform() < 0.6 * static_cast<double>(f) / n_features;
    for (std::size_t side = 0; side < 2; ++side) {
      std::vector<Firing> fires;
      for (std::int32_t f = 0; f < n_features; ++f)
        if (rng.uniform() < 0.1 || (side == 0 && set_off[static_cast<std::size_t>(f)]))
          fires.push_back({f, 1});
      for (std::size_t language = 0; language < n_languages; ++language)
        firing.set(2 * (p + language * n) + side, fires);
    }
  }
  return firing;
}

// Concepts that fire all or none, two languages that say the same: the interval of a mean over
// subclasses holds the expected value about as often as it says, and drawing the pairs one by one
// would not come near.
TEST(SelectionStatistics, IntervalsHoldTheTruth) {
  const std::vector<ContrastPair> pairs =
      PairGrid{.n_subclasses = 4, .languages = {"en", "xx"}}.pairs();
  constexpr int n_runs = 200;
  std::vector<Estimate> i_cdf, ranked, of_a_concept;
  for (int run = 0; run < n_runs; ++run) {
    Rng rng(static_cast<std::uint64_t>(run), "coverage");
    const FeatureSelection selection =
        select({clustered(pairs, 2, 40, rng)}, pairs, {.n_resamples = 100});
    i_cdf.push_back(selection.saes[0].i_cdf.excess);
    ranked.push_back(selection.saes[0].l0_t[kRankedThreshold].excess);
    of_a_concept.push_back(selection.saes[0].concepts[0].metrics.i_cdf.excess);
  }
  const auto coverage = [&](const std::vector<Estimate>& estimates) {
    double truth = 0, n_inside = 0;
    for (const Estimate& estimate : estimates) truth += estimate.value / n_runs;
    for (const Estimate& estimate : estimates)
      n_inside += estimate.low <= truth && truth <= estimate.high;
    return n_inside / n_runs;
  };
  // 95 % of 200 has a standard error of 1.5 %.
  EXPECT_GE(coverage(i_cdf), 0.90);
  EXPECT_LE(coverage(i_cdf), 0.99);
  EXPECT_GE(coverage(ranked), 0.90);
  EXPECT_GE(coverage(of_a_concept), 0.88);  // of five concepts
}

// A language that says the same again adds nothing to what is known.
TEST(SelectionStatistics, ATranslationIsNoSecondSample) {
  const std::vector<ContrastPair> once = PairGrid{.n_subclasses = 3}.pairs(),
                                  twice = PairGrid{.n_subclasses = 3, .languages = {"en", "xx"}}
                                              .pairs();
  Rng rng(3, "once"), again(3, "once");
  const SaeSelection a = select({clustered(once, 1, 60, rng)}, once, {}).saes[0],
                     b = select({clustered(twice, 2, 60, again)}, twice, {}).saes[0];
  EXPECT_NEAR(a.i_cdf.excess.value, b.i_cdf.excess.value, 1e-12);
  EXPECT_NEAR(a.i_cdf.excess.low, b.i_cdf.excess.low, 1e-12);
  EXPECT_NEAR(a.l0_t[2].observed.high, b.l0_t[2].observed.high, 1e-9);
}

// Two SAEs that respond to the same concepts: their difference is known far better than either.
TEST(SelectionStatistics, DifferencesAreOfTheSameDraws) {
  const std::vector<ContrastPair> pairs = PairGrid{.n_subclasses = 4}.pairs();
  Rng rng(12, "paired");
  const PairFiring more = clustered(pairs, 1, 80, rng);
  PairFiring fewer(pairs.size(), 80);  // the same without three of its features
  for (std::size_t p = 0; p < pairs.size(); ++p)
    for (std::size_t side = 0; side < 2; ++side) {
      std::vector<Firing> fires;
      for (const Firing& one : side == 0 ? more.with_concept(p) : more.counterpart(p))
        if (one.feature < 77) fires.push_back(one);
      fewer.set(2 * p + side, fires);
    }
  const Recommendation result = select({fewer, more}, pairs, {}).recommendation;
  ASSERT_EQ(result.ranking.size(), 2U);
  EXPECT_EQ(result.ranking[0].configuration.k, 16);
  const Estimate &behind = result.ranking[1].behind, &own = result.ranking[0].excess;
  EXPECT_LT(behind.high - behind.low, 0.5 * (own.high - own.low));
  EXPECT_GT(behind.low, 0);
  EXPECT_EQ(result.recommended().configuration.k, 16) << "though the sparser one is within the "
                                                         "best one's own interval";
  EXPECT_GT(result.ranking[1].excess.value, own.low);
}

}  // namespace
}  // namespace safesail
