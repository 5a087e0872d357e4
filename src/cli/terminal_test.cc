#include "cli/terminal.h"

#include <gtest/gtest.h>
#include <limits>

namespace safesail {
namespace {

TEST(Sparkline, RunsBetweenTheExtremes) {
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 20), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline({7, 0}, 20), "█▁");
  EXPECT_EQ(sparkline({2, 2, 2}, 20), "▁▁▁");
  EXPECT_EQ(sparkline({}, 20), "");
}

TEST(Sparkline, MeansWhereThereAreMoreValuesThanRoom) {
  // 0 0 | 0 14 | 14 14 -> 0, 7, 14
  EXPECT_EQ(sparkline({0, 0, 0, 14, 14, 14}, 3), "▁▅█");
}

TEST(Sparkline, WhatIsNotFiniteIsBlank) {
  EXPECT_EQ(sparkline({0, std::numeric_limits<double>::quiet_NaN(), 1}, 20), "▁ █");
}

TEST(FormatTable, AlignsNumbersToTheRight) {
  EXPECT_EQ(format_table({{"site", "k"}, {"a", "5"}, {"bb", "16"}}),
            "site   k\n────────\na      5\nbb    16\n");
}

}  // namespace
}  // namespace safesail
