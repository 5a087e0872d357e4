#include <gtest/gtest.h>

#include "train/grid.h"

namespace safesail {
namespace {

TEST(LearningRate, RisesStaysAndFalls) {
  const GridConfig config{
      .n_features = 16384, .n_tokens = 1000, .lr = 0.5, .warmup_share = 0.1, .decay_share = 0.2};
  EXPECT_EQ(learning_rate(config, 0), 0);
  EXPECT_DOUBLE_EQ(learning_rate(config, 50), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(config, 100), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 800), 0.5);
  EXPECT_NEAR(learning_rate(config, 900), 0.25, 1e-12);
  EXPECT_EQ(learning_rate(config, 1000), 0);
  EXPECT_EQ(learning_rate(config, 2000), 0) << "past the budget";
}

TEST(LearningRate, DefaultFollowsTheDictionarySize) {
  EXPECT_DOUBLE_EQ(default_learning_rate(16384), 2e-4);
  EXPECT_DOUBLE_EQ(default_learning_rate(4 * 16384), 1e-4);
  const GridConfig config{.n_features = 4096, .n_tokens = 100, .warmup_share = 0, .decay_share = 0};
  EXPECT_DOUBLE_EQ(learning_rate(config, 0), 4e-4);
}

}  // namespace
}  // namespace safesail
