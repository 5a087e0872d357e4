#include "base/units.h"

#include <gtest/gtest.h>

namespace safesail {
namespace {

TEST(Units, Bytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(~std::uint64_t{0}), "16.0 EiB");
}

TEST(Units, Counts) {
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1234567), "1.23 M");
  EXPECT_EQ(human_count(0.618), "0.62") << "a slow rate is not 1, and not 0";
  EXPECT_EQ(human_count(9.49), "9.5");
  EXPECT_EQ(human_count(9.6), "10");
  EXPECT_EQ(human_count(3), "3");
  EXPECT_EQ(human_count(0), "0");
}

TEST(Units, Durations) {
  EXPECT_EQ(human_duration(75.2), "1:15");
  EXPECT_EQ(human_duration(3725), "1:02:05");
  EXPECT_EQ(human_duration(-1), "?");
}

}  // namespace
}  // namespace safesail
