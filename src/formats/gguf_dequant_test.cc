// Dequantisation against the reference's own numbers (scripts/golden/make_gguf_golden.py) and
// against closed forms. Exact: every value has the reference's bits, or both are NaN.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

#include "formats/gguf.h"
#include "formats/safetensors.h"

namespace safesail {
namespace {

constexpr std::array kTypes = {GgmlType::f32,  GgmlType::f16,  GgmlType::bf16, GgmlType::q4_0,
                               GgmlType::q4_1, GgmlType::q5_0, GgmlType::q5_1, GgmlType::q8_0,
                               GgmlType::q4_k, GgmlType::q5_k, GgmlType::q6_k};

template <class T>
std::vector<T> values_of(const TensorView& view) {
  std::vector<T> values(view.n_elements());
  std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
  return values;
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

GgufTensor tensor_of(GgmlType type, std::span<const std::byte> blocks) {
  const GgmlBlock block = block_of(type);
  const auto n = static_cast<std::int64_t>(blocks.size()) / block.bytes * block.elements;
  return {"t", type, {1, n}, blocks};
}

class Dequantize : public testing::TestWithParam<GgmlType> {
 protected:
  const SafetensorsFile golden_{SAFESAIL_SOURCE_DIR "/tests/data/formats/gguf_blocks.safetensors"};
  const std::string name_{name_of(GetParam())};
  const GgufTensor tensor_ = tensor_of(GetParam(), golden_.at(name_ + ".blocks").bytes);
};

TEST_P(Dequantize, EqualsTheReferenceBitForBit) {
  const auto expected = values_of<float>(golden_.at(name_ + ".f32"));
  std::vector<float> got(tensor_.n_elements());
  ASSERT_EQ(got.size(), expected.size());
  dequantize(tensor_, 0, got);
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(got[i])) continue;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(expected[i]))
        << "element " << i << ": " << got[i] << ", expected " << expected[i];
  }
}

TEST_P(Dequantize, Bf16IsTheFloatRounded) {
  std::vector<float> floats(tensor_.n_elements());
  dequantize(tensor_, 0, floats);
  std::vector<std::uint16_t> expected(floats.size()), got(floats.size());
  dequantize_bf16(tensor_of(GgmlType::f32, std::as_bytes(std::span(floats))), 0, expected);
  dequantize_bf16(tensor_, 0, got);
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(got[i], expected[i]) << "element " << i << ": " << from_bf16(got[i]);
}

TEST_P(Dequantize, AnyRangeOfBlocksEqualsThatPartOfTheWhole) {
  std::vector<float> whole(tensor_.n_elements());
  dequantize(tensor_, 0, whole);
  const std::int64_t block = block_of(GetParam()).elements;
  for (const std::int64_t first : {std::int64_t{0}, block, 3 * block}) {
    for (const std::int64_t n : {std::int64_t{0}, block, 2 * block, tensor_.n_elements() - first}) {
      std::vector<float> part(n);
      dequantize(tensor_, first, part);
      // By bits, so that NaNs compare too.
      const auto same = [](float a, float b) {
        return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
      };
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first, same))
          << "range [" << first << ", +" << n << ")";
    }
  }
}

TEST_P(Dequantize, RefusesRangesOutsideTheTensorOrItsBlocks) {
  const std::int64_t n = tensor_.n_elements(), block = block_of(GetParam()).elements;
  std::vector<float> out(block);
  EXPECT_THROW(dequantize(tensor_, n, out), std::logic_error);
  EXPECT_THROW(dequantize(tensor_, -block, out), std::logic_error);
  if (block > 1) {
    EXPECT_THROW(dequantize(tensor_, 1, out), std::logic_error);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, Dequantize, testing::ValuesIn(kTypes),
                         [](const auto& type) { return std::string(name_of(type.param)); });

/// One block of `type` with a half of 2.0 at its start, then `rest`.
std::vector<std::byte> block_with_scale_two(GgmlType type, std::byte rest) {
  std::vector<std::byte> block(block_of(type).bytes, rest);
  block[0] = std::byte{0x00};
  block[1] = std::byte{0x40};
  return block;
}

TEST(DequantizeClosedForm, Q4_0IsScaleTimesNibbleMinusEight) {
  const auto block = block_with_scale_two(GgmlType::q4_0, std::byte{0xf3});
  std::array<float, 32> out{};
  dequantize(tensor_of(GgmlType::q4_0, block), 0, out);
  EXPECT_EQ(out[0], 2.0f * (3 - 8));    // low nibbles first
  EXPECT_EQ(out[16], 2.0f * (15 - 8));  // then high ones
}

TEST(DequantizeClosedForm, Q8_0IsScaleTimesSignedByte) {
  auto block = block_with_scale_two(GgmlType::q8_0, std::byte{0x80});
  block[2] = std::byte{0x7f};
  std::array<float, 32> out{};
  dequantize(tensor_of(GgmlType::q8_0, block), 0, out);
  EXPECT_EQ(out[0], 254.0f);
  EXPECT_EQ(out[31], -256.0f);
}

TEST(DequantizeClosedForm, EveryHalfConvertsExactly) {
  std::vector<std::uint16_t> halves(1 << 16);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  std::vector<float> out(halves.size());
  dequantize(tensor_of(GgmlType::f16, std::as_bytes(std::span(halves))), 0, out);
  for (std::uint32_t half = 0; half < halves.size(); ++half) {
    const int exponent = static_cast<int>(half >> 10 & 31),
              mantissa = static_cast<int>(half & 1023);
    const float sign = half & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31 && mantissa != 0) {
      ASSERT_TRUE(std::isnan(out[half])) << half;
      continue;
    }
    const float magnitude = exponent == 31  ? std::numeric_limits<float>::infinity()
                            : exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                            : std::ldexp(1024.0f + mantissa, exponent - 25);
    ASSERT_EQ(out[half], sign * magnitude) << "half " << half;
    ASSERT_EQ(std::signbit(out[half]), sign < 0) << "half " << half;
  }
}

TEST(DequantizeBf16, RoundsAsTheReference) {
  const SafetensorsFile golden(SAFESAIL_SOURCE_DIR "/tests/data/formats/gguf_blocks.safetensors");
  const auto expected = values_of<std::uint16_t>(golden.at("F32.bf16"));
  std::vector<std::uint16_t> got(expected.size());
  dequantize_bf16(tensor_of(GgmlType::f32, golden.at("F32.f32").bytes), 0, got);
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(got[i], expected[i]) << "element " << i << ": " << from_bf16(got[i]);
}

TEST(DequantizeBf16, RoundsTiesToEven) {
  // 1 + 2^-8 lies between bf16 1 and 1 + 2^-7: the even one is 1. 1 + 3 * 2^-8: the even is above.
  const std::array<float, 4> in = {1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, 1.0f + 0x1p-8f + 0x1p-20f,
                                   std::numeric_limits<float>::max()};
  std::array<std::uint16_t, 4> out{};
  dequantize_bf16(tensor_of(GgmlType::f32, std::as_bytes(std::span(in))), 0, out);
  EXPECT_EQ(from_bf16(out[0]), 1.0f);
  EXPECT_EQ(from_bf16(out[1]), 1.0f + 0x1p-6f);
  EXPECT_EQ(from_bf16(out[2]), 1.0f + 0x1p-7f);
  EXPECT_TRUE(std::isinf(from_bf16(out[3])));  // as nearest-even demands
}

TEST(DequantizeBf16, EveryNaNStaysOne) {
  // Payloads that rounding would carry into infinity, into zero, or cut off.
  const std::array<std::uint32_t, 4> in = {0x7f800001, 0xff80ffff, 0x7fffffff, 0xffffffff};
  std::array<std::uint16_t, 4> out{};
  dequantize_bf16(tensor_of(GgmlType::f32, std::as_bytes(std::span(in))), 0, out);
  for (std::size_t i = 0; i < in.size(); ++i)
    EXPECT_TRUE(std::isnan(from_bf16(out[i]))) << std::hex << in[i] << " became " << out[i];
}

}  // namespace
}  // namespace safesail
