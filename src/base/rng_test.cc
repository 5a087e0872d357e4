#include "base/rng.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

namespace safesail {
namespace {

// Known answer of Philox4x32-10 for counter = key = 0, from the authors' Random123 (kat_vectors).
TEST(Rng, MatchesRandom123KnownAnswer) {
  Rng rng(0, std::uint64_t{0});
  EXPECT_EQ(rng.next_u32(), 0x6627e8d5u);
  EXPECT_EQ(rng.next_u32(), 0xe169c58du);
  EXPECT_EQ(rng.next_u32(), 0xbc57ac4cu);
  EXPECT_EQ(rng.next_u32(), 0x9b00dbd8u);
}

TEST(Rng, ContinuesFromASavedPosition) {
  for (int drawn : {0, 1, 3, 4, 5, 8}) {
    Rng first(7, "shuffle");
    for (int i = 0; i < drawn; ++i) first.next_u32();
    Rng second(7, "shuffle");
    second.set_position(first.position());
    for (int i = 0; i < 9; ++i) EXPECT_EQ(first.next_u32(), second.next_u32()) << "after " << drawn;
  }
}

TEST(Rng, StreamsDiffer) {
  EXPECT_NE(Rng(1, "a").next_u64(), Rng(1, "b").next_u64());
}

// Mean and variance of n draws of N(0, 1) lie within 5 standard errors: 1/sqrt(n) and sqrt(2/n).
TEST(Rng, NormalHasUnitMoments) {
  constexpr int n = 200000;
  Rng rng(3, "normal");
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
}

TEST(Rng, ShuffleIsAPermutation) {
  std::vector<int> items(1000);
  std::iota(items.begin(), items.end(), 0);
  Rng rng(5, "shuffle");
  shuffle(items, rng);
  EXPECT_FALSE(std::is_sorted(items.begin(), items.end()));
  std::sort(items.begin(), items.end());
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(items[i], i);
}

}  // namespace
}  // namespace safesail
