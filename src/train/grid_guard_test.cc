#include "train/grid_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

namespace safesail {
namespace {

const GuardConfig kConfig{.n_tokens = 1000, .warmup_tokens = 100, .dead_after_tokens = 200};

/// A healthy history, a record every 10 tokens up to `tokens`.
std::vector<TrainingRecord> healthy(std::uint64_t tokens) {
  std::vector<TrainingRecord> history;
  for (std::uint64_t t = 10; t <= tokens; t += 10)
    history.push_back({.tokens = t, .loss = 0.3, .fvu = 0.3, .l0 = 8, .dead_share = 0.1});
  return history;
}

TEST(Trouble, NoneInAHealthyHistory) {
  EXPECT_EQ(trouble({}, kConfig), "");
  for (std::uint64_t t = 10; t <= 1000; t += 10) EXPECT_EQ(trouble(healthy(t), kConfig), "");
}

TEST(Trouble, NotANumber) {
  auto history = healthy(20);
  history.back().loss = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(trouble(history, kConfig), testing::HasSubstr("nan"));
}

TEST(Trouble, CollapseMustLastAndComeAfterTheWarmUp) {
  auto history = healthy(500);
  for (std::size_t i = history.size() - 6; i < history.size(); ++i) history[i].fvu = 1.2;
  EXPECT_THAT(trouble(history, kConfig), testing::HasSubstr("FVU above 1"));
  history[history.size() - 3].fvu = 0.9;
  EXPECT_EQ(trouble(history, kConfig), "") << "not all the time";

  auto early = healthy(150);
  for (TrainingRecord& record : early) record.fvu = 1.2;
  EXPECT_EQ(trouble(early, kConfig), "") << "5 % after the warm-up are not over";
  early.push_back({.tokens = 160, .fvu = 1.2, .l0 = 8});
  EXPECT_THAT(trouble(early, kConfig), testing::HasSubstr("FVU above 1"));

  auto silent = healthy(500);
  for (std::size_t i = silent.size() - 6; i < silent.size(); ++i) silent[i].l0 = 0;
  EXPECT_THAT(trouble(silent, kConfig), testing::HasSubstr("no feature was active"));
}

TEST(Trouble, AWaveOfDyingFeatures) {
  auto history = healthy(500);
  history.back().dead_share = 0.45;
  EXPECT_THAT(trouble(history, kConfig), testing::HasSubstr("10 % at 450 tokens, 45 % at 500"));
  history.back().dead_share = 0.35;
  EXPECT_EQ(trouble(history, kConfig), "") << "25 points are no wave";

  // All that never fired are counted dead at once, when dead_after_tokens are over: no wave.
  auto first = healthy(240);
  for (TrainingRecord& record : first) record.dead_share = record.tokens > 200 ? 0.5 : 0;
  EXPECT_EQ(trouble(first, kConfig), "");
  // Nor is one what fell silent, one after another, before the warm-up was over.
  auto early = healthy(310);
  for (TrainingRecord& record : early) record.dead_share = record.tokens > 270 ? 0.5 : 0;
  EXPECT_EQ(trouble(early, kConfig), "");
}

}  // namespace
}  // namespace safesail
