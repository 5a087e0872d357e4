#include "model/sampler.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/rng.h"

namespace safesail {
namespace {

// p = 0.5, 0.25, 0.125, 0.125 in this order of ids: 2, 0, 1, 3.
const std::vector<float> kLogits{std::log(0.25f), std::log(0.125f), std::log(0.5f),
                                 std::log(0.125f)};

std::vector<std::int32_t> ids_of(const std::vector<TokenProbability>& tokens) {
  std::vector<std::int32_t> ids;
  for (const TokenProbability& token : tokens) ids.push_back(token.id);
  return ids;
}

TEST(Sampler, GreedyTakesTheFirstHighest) {
  Sampler sampler({}, 0);
  EXPECT_EQ(sampler.next(kLogits), 2);
  const std::vector<float> tie{1, 3, 3};
  EXPECT_EQ(sampler.next(tie), 1);
}

TEST(Sampler, DrawsWhatIsAllowed) {
  const std::vector<std::uint32_t> bits{0b1011};  // not id 2, the likeliest
  EXPECT_EQ(Sampler({}, 0).next(kLogits, bits), 0);
  const std::vector<std::uint32_t> padded{0b1000, 0xFFFFFFFF};  // vocabularies may be longer
  for (const SamplingConfig& config : {SamplingConfig{},
                                       {.temperature = 2},
                                       {.temperature = 2, .top_k = 3},
                                       {.temperature = 2, .top_p = 0.9}})
    EXPECT_EQ(Sampler(config, 0).next(kLogits, padded), 3);
  // What is left is drawn by its odds: 2 : 1 : 1.
  Sampler sampler({.temperature = 1, .seed = 4}, 0);
  std::map<std::int32_t, int> drawn;
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) ++drawn[sampler.next(kLogits, bits)];
  EXPECT_EQ(drawn.count(2), 0U);
  // Five standard deviations of a binomial share of a half.
  EXPECT_NEAR(drawn[0], kDraws / 2, 5 * std::sqrt(kDraws * 0.25));
  // The same random numbers choose the same where all is allowed.
  const std::vector<std::uint32_t> all{0b1111};
  Sampler free({.temperature = 1, .seed = 5}, 0), formed({.temperature = 1, .seed = 5}, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(free.next(kLogits), formed.next(kLogits, all));
}

TEST(Sampler, DistributionIsTheSoftmaxAtTheTemperature) {
  const auto plain = sampling_distribution(kLogits, {.temperature = 1});
  EXPECT_EQ(ids_of(plain), (std::vector<std::int32_t>{2, 0, 1, 3}));
  const double expected[] = {0.5, 0.25, 0.125, 0.125};
  for (int i = 0; i < 4; ++i)
    EXPECT_NEAR(plain[static_cast<std::size_t>(i)].probability, expected[i], 1e-7);
  // At temperature 0.5 the probabilities are squared: 16 : 4 : 1 : 1.
  const auto cold = sampling_distribution(kLogits, {.temperature = 0.5});
  EXPECT_NEAR(cold[0].probability, 16.0 / 22, 1e-6);
  EXPECT_NEAR(cold[3].probability, 1.0 / 22, 1e-6);
}

TEST(Sampler, TopKAndTopPKeepTheseSets) {
  const auto kept = [](std::int32_t k, double p) {
    return ids_of(sampling_distribution(kLogits, {.temperature = 1, .top_k = k, .top_p = p}));
  };
  EXPECT_EQ(kept(1, 1), (std::vector<std::int32_t>{2}));
  EXPECT_EQ(kept(3, 1), (std::vector<std::int32_t>{2, 0, 1}));
  EXPECT_EQ(kept(9, 1).size(), 4u);
  EXPECT_EQ(kept(0, 0.1), (std::vector<std::int32_t>{2}));
  EXPECT_EQ(kept(0, 0.6), (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(kept(0, 0.76), (std::vector<std::int32_t>{2, 0, 1}));
  // top-p counts shares of what top-k has left: 0.5 / 0.75 < 0.7, but 0.5 / 0.5 >= 0.7.
  EXPECT_EQ(kept(2, 0.7), (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(kept(1, 0.7), (std::vector<std::int32_t>{2}));
  EXPECT_NEAR(sampling_distribution(kLogits, {.temperature = 1, .top_k = 2})[0].probability,
              2.0 / 3, 1e-7);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  Sampler sampler({.temperature = 1, .seed = 7}, 3);
  constexpr int kDraws = 20000;
  std::map<std::int32_t, int> counts;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.next(kLogits)];
  double chi_square = 0;
  for (std::int32_t id = 0; id < 4; ++id) {
    const double expected =
        kDraws * std::exp(static_cast<double>(kLogits[static_cast<std::size_t>(id)]));
    chi_square += (counts[id] - expected) * (counts[id] - expected) / expected;
  }
  EXPECT_LT(chi_square, 16.27);  // 3 degrees of freedom, exceeded once in a thousand seeds
}

TEST(Sampler, DrawsFromALargeVocabularyAsIfItWereSorted) {
  std::vector<float> logits(5000);
  Rng values(5, 0);
  for (float& logit : logits) logit = static_cast<float>(std::floor(20 * values.uniform()) / 3);
  for (const SamplingConfig& config :
       {SamplingConfig{.temperature = 1, .seed = 3}, SamplingConfig{.temperature = 9, .seed = 3},
        SamplingConfig{.temperature = 2, .top_p = 0.9, .seed = 3},
        SamplingConfig{.temperature = 2, .top_k = 700, .top_p = 0.9, .seed = 3}}) {
    const auto sorted = sampling_distribution(logits, config);
    Sampler sampler(config, 1);
    Rng same(config.seed, 1);
    for (int draw = 0; draw < 500; ++draw) {
      const double u = same.uniform();
      double below = 0;
      std::size_t i = 0;
      while (i + 1 < sorted.size() && (below += sorted[i].probability) <= u) ++i;
      ASSERT_EQ(sampler.next(logits), sorted[i].id) << "draw " << draw << ", u " << u;
    }
  }
}

TEST(Sampler, LogitsThatAreNoNumbersAreDrawnLast) {
  std::vector<float> logits(300, std::numeric_limits<float>::quiet_NaN());
  logits[0] = 1;
  logits[7] = 1;
  Sampler sampler({.temperature = 1, .seed = 7}, 0);
  for (int i = 0; i < 100; ++i) {
    const std::int32_t id = sampler.next(logits);
    EXPECT_TRUE(id == 0 || id == 7) << id;
  }
}

TEST(Sampler, SeedAndStreamNameTheDraws) {
  const auto draw = [](std::uint64_t seed, std::uint64_t stream) {
    Sampler sampler({.temperature = 1, .seed = seed}, stream);
    std::vector<std::int32_t> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(sampler.next(kLogits));
    return ids;
  };
  EXPECT_EQ(draw(1, 0), draw(1, 0));
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1, 1));
}

TEST(Sampler, RefusesImpossibleSettings) {
  for (const SamplingConfig& config :
       {SamplingConfig{.temperature = -1},
        SamplingConfig{.temperature = std::numeric_limits<double>::quiet_NaN()},
        SamplingConfig{.top_k = -1}, SamplingConfig{.top_p = 0}, SamplingConfig{.top_p = 1.5}})
    EXPECT_THROW(check_sampling(config), Error);
  check_sampling({});
}

}  // namespace
}  // namespace safesail
