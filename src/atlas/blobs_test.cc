#include "atlas/blobs.h"

#include <gmock/gmock.h>
#include <limits>

#include "base/error.h"

namespace safesail {
namespace {

TEST(Blobs, WhatGoesInComesOut) {
  const std::vector<std::int32_t> ids = {0,
                                         -1,
                                         1,
                                         127,
                                         128,
                                         -64,
                                         151'643,
                                         std::numeric_limits<std::int32_t>::max(),
                                         std::numeric_limits<std::int32_t>::min()};
  EXPECT_EQ(unpack_ids(pack_ids(ids), "x"), ids);
  const std::vector<std::uint64_t> counts = {0, 127, 128,
                                             std::numeric_limits<std::uint64_t>::max()};
  EXPECT_EQ(unpack_counts(pack_counts(counts), "x"), counts);
  const std::vector<std::uint32_t> offsets = {0, 0, 3, 300,
                                              std::numeric_limits<std::uint32_t>::max()};
  EXPECT_EQ(unpack_offsets(pack_offsets(offsets), "x"), offsets);
  for (const std::vector<float>& values :
       {std::vector<float>{}, {0, 0}, {1.5F}, {0, 0, -2.25F, 0, 1e-30F}, {3, 0, 0, 0}}) {
    EXPECT_EQ(unpack_sparse(pack_sparse(values), values.size(), "x"), values);
    EXPECT_EQ(unpack_floats(pack_floats(values), "x"), values);
  }
}

TEST(Blobs, SmallNumbersAreSmall) {
  EXPECT_EQ(pack_ids(std::vector<std::int32_t>{1, 2, 3}).size(), 3u);
  EXPECT_EQ(pack_sparse(std::vector<float>(64, 0.0F)).size(), 0u);
}

TEST(Blobs, DamageIsNamed) {
  const auto bytes = [](std::initializer_list<int> list) {
    Blob blob;
    for (const int b : list) blob.push_back(static_cast<std::byte>(b));
    return blob;
  };
  EXPECT_THROW(unpack_ids(bytes({0x80}), "x"), Error) << "cut short";
  EXPECT_THROW(unpack_ids(bytes({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}), "x"), Error) << "too large";
  EXPECT_THROW(
      unpack_counts(bytes({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02}), "x"),
      Error)
      << "65 bits";
  EXPECT_THROW(unpack_offsets(bytes({0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x01}), "x"), Error);
  EXPECT_THROW(unpack_sparse(pack_sparse(std::vector<float>{1, 2}), 1, "x"), Error) << "too many";
  EXPECT_THROW(unpack_sparse({}, std::numeric_limits<std::size_t>::max(), "x"), Error);
  EXPECT_THROW(unpack_floats(bytes({1, 2, 3}), "x"), Error);
}

}  // namespace
}  // namespace safesail
