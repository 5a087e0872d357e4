#include "model/weight_source.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

namespace safesail {
namespace {

template <class T>
TensorView view_of(const std::vector<T>& values, DType dtype) {
  return {dtype, {static_cast<std::int64_t>(values.size())}, std::as_bytes(std::span(values))};
}

std::vector<float> as_f32(const TensorView& view) {
  std::vector<float> out(static_cast<std::size_t>(view.n_elements()));
  SourceTensor(view).read(0, out);
  return out;
}

std::vector<std::uint16_t> as_bf16(const TensorView& view) {
  std::vector<std::uint16_t> out(static_cast<std::size_t>(view.n_elements()));
  SourceTensor(view).read_bf16(0, out);
  return out;
}

TEST(WeightSource, HalvesOfEveryKind) {
  // 1, -2, the largest, the smallest normal, the smallest subnormal, -0, infinity.
  const std::vector<std::uint16_t> halves{0x3c00, 0xc000, 0x7bff, 0x0400,
                                          0x0001, 0x8000, 0x7c00, 0x7e00};
  const std::vector<float> out = as_f32(view_of(halves, DType::f16));
  const float expected[] = {
      1, -2, 65504, 0x1p-14f, 0x1p-24f, -0.0f, std::numeric_limits<float>::infinity()};
  for (std::size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(out[i], expected[i]) << i;
  EXPECT_TRUE(std::signbit(out[5]));
  EXPECT_TRUE(std::isnan(out[7]));
}

TEST(WeightSource, RoundsToNearestEven) {
  const auto f32 = [](std::uint32_t bits) { return std::bit_cast<float>(bits); };
  // Below, at and above the middle between 1 and the next bf16; the middle after an odd one.
  const std::vector<float> values{f32(0x3f807fff),
                                  f32(0x3f808000),
                                  f32(0x3f808001),
                                  f32(0x3f818000),
                                  std::numeric_limits<float>::max(),
                                  f32(0x7f800001)};
  const std::vector<std::uint16_t> expected{0x3f80, 0x3f80, 0x3f81, 0x3f82, 0x7f80};
  const std::vector<std::uint16_t> out = as_bf16(view_of(values, DType::f32));
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(out[i], expected[i]) << i;
  EXPECT_TRUE(std::isnan(std::bit_cast<float>(std::uint32_t{out[5]} << 16))) << "a NaN stays one";
}

TEST(WeightSource, ReadsPartsOfUnalignedTensors) {
  const std::vector<double> values{0.5, 1.5, -2.5, 3.5};
  std::vector<std::byte> shifted(1 + values.size() * sizeof(double));
  std::memcpy(shifted.data() + 1, values.data(), values.size() * sizeof(double));
  const TensorView view{DType::f64, {2, 2}, std::span(shifted).subspan(1)};
  std::vector<float> out(2);
  SourceTensor(view).read(1, out);
  EXPECT_EQ(out, (std::vector<float>{1.5, -2.5}));
}

TEST(WeightSource, KnowsWhatIsAWeight) {
  const std::vector<std::int32_t> integers{1, 2};
  const TensorView view = view_of(integers, DType::i32);
  EXPECT_FALSE(SourceTensor(view).is_float());
  EXPECT_EQ(SourceTensor(view).dtype_name(), "I32");
}

}  // namespace
}  // namespace safesail
