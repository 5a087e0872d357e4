#include <gtest/gtest.h>

#include "train/grid.h"

namespace safesail {
namespace {

TEST(LearningRate, RisesStaysAndFalls) {
  const GridConfig config{.n_tokens = 1000, .lr = 0.5, .warmup_share = 0.1, .decay_share = 0.2};
  const auto rate = [&](std::uint64_t tokens) { return learning_rate(config, 16384, tokens); };
  EXPECT_EQ(rate(0), 0);
  EXPECT_DOUBLE_EQ(rate(50), 0.25);
  EXPECT_DOUBLE_EQ(rate(100), 0.5);
  EXPECT_DOUBLE_EQ(rate(800), 0.5);
  EXPECT_NEAR(rate(900), 0.25, 1e-12);
  EXPECT_EQ(rate(1000), 0);
  EXPECT_EQ(rate(2000), 0) << "past the budget";
}

TEST(LearningRate, DefaultFollowsTheDictionarySizeAndTheBudget) {
  EXPECT_DOUBLE_EQ(default_learning_rate(16384, 1e6), 2e-4);
  EXPECT_DOUBLE_EQ(default_learning_rate(4 * 16384, 1e6), 1e-4);
  EXPECT_DOUBLE_EQ(default_learning_rate(16384, 400), 1e-3) << "five times as fast";
  EXPECT_DOUBLE_EQ(default_learning_rate(16384, 3), 2e-3) << "never more than ten times";
  const GridConfig config{
      .n_tokens = 400'000, .batch_tokens = 1000, .warmup_share = 0, .decay_share = 0};
  EXPECT_DOUBLE_EQ(learning_rate(config, 4096, 0), 2e-3);
}

TEST(AnnealedK, FallsToItsValueAndStays) {
  GridConfig config{.n_tokens = 1000};
  const SaeSpec spec = SaeSpec::topk(16, 4096, 32);
  EXPECT_EQ(annealed_k(config, spec, 0), 32) << "off by default";
  config.k_anneal_share = 0.1;
  EXPECT_EQ(annealed_k(config, spec, 0), 256);
  EXPECT_EQ(annealed_k(config, spec, 50), 144) << "half way: 32 + 224 / 2";
  EXPECT_EQ(annealed_k(config, spec, 100), 32);
  EXPECT_EQ(annealed_k(config, SaeSpec::topk(16, 100, 32), 0), 100) << "no more than there are";
}

}  // namespace
}  // namespace safesail
