#include "formats/tensor.h"

#include <array>
#include <gtest/gtest.h>

namespace safesail {
namespace {

constexpr std::int64_t kHuge = std::int64_t{1} << 32;

TEST(DType, NamesAndSizesGoBothWays) {
  for (int i = 0; i <= static_cast<int>(DType::boolean); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_named(name_of(dtype)), dtype);
  }
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::i64), 8u);
  EXPECT_EQ(size_of(DType::boolean), 1u);
  EXPECT_FALSE(dtype_named("f32").has_value());
  EXPECT_FALSE(dtype_named("F8_E4M3").has_value());
}

TEST(CheckedByteSize, CountsShapes) {
  EXPECT_EQ(checked_byte_size(DType::f32, {}), 4u);  // a scalar
  EXPECT_EQ(checked_byte_size(DType::f32, std::array<std::int64_t, 2>{3, 5}), 60u);
  EXPECT_EQ(checked_byte_size(DType::f32, std::array<std::int64_t, 2>{3, 0}), 0u);
}

TEST(CheckedByteSize, RefusesWhatCannotBeCounted) {
  EXPECT_FALSE(checked_byte_size(DType::u8, std::array<std::int64_t, 1>{-1}));
  EXPECT_FALSE(checked_byte_size(DType::u8, std::array<std::int64_t, 2>{kHuge, kHuge}));
  // 2^62 elements can be counted, their 2^64 bytes cannot.
  EXPECT_TRUE(checked_byte_size(DType::u8, std::array<std::int64_t, 2>{kHuge, kHuge >> 2}));
  EXPECT_FALSE(checked_byte_size(DType::f32, std::array<std::int64_t, 2>{kHuge, kHuge >> 2}));
  // A zero must not hide an overflow of the others.
  EXPECT_FALSE(checked_byte_size(DType::u8, std::array<std::int64_t, 3>{kHuge, kHuge, 0}));
}

TEST(TensorView, TellsItsShape) {
  const TensorView view{DType::f32, {49152, 576}, {}};
  EXPECT_EQ(view.n_elements(), 49152 * 576);
  EXPECT_EQ(view.shape_text(), "[49152, 576]");
}

}  // namespace
}  // namespace safesail
