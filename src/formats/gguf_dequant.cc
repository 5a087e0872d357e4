// GGUF blocks to numbers. One struct a type says how a block decodes; the loops have constant trip
// counts and no branches, so that the compiler vectorises them for any target.
//
// Bit for bit as ggml's reference: the order of operations is ggml's, halves convert exactly, and
// no multiply and add may be fused (-ffp-contract=off, which CMakeLists.txt sets for this file; gcc
// fuses in C++ whatever the standard mode, where the target has FMA).
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "formats/gguf.h"

namespace safesail {
namespace {

using Byte = std::uint8_t;

std::uint16_t load_u16(const Byte* in) {
  std::uint16_t value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

std::uint32_t load_u32(const Byte* in) {
  std::uint32_t value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

float load_half(const Byte* in) {
  return float_of_half(load_u16(in));
}

// The float types decode in groups of 32 where they can, element by element at the end.
template <int kWidth, class Convert>
struct PlainBlock {
  static constexpr int kElements = 32, kBytes = 32 * kWidth;
  static void decode(const Byte* in, float* out) {
    for (int i = 0; i < kElements; ++i) out[i] = Convert{}(in + i * kWidth);
  }
};
struct ConvertF32 {
  float operator()(const Byte* in) const { return std::bit_cast<float>(load_u32(in)); }
};
struct ConvertF16 {
  float operator()(const Byte* in) const { return load_half(in); }
};
struct ConvertBf16 {
  float operator()(const Byte* in) const { return float_of_bf16(load_u16(in)); }
};
using F32 = PlainBlock<4, ConvertF32>;
using F16 = PlainBlock<2, ConvertF16>;
using Bf16 = PlainBlock<2, ConvertBf16>;

// 32 elements: the low nibbles of 16 bytes, then the high ones.
struct Q4_0 {
  static constexpr int kElements = 32, kBytes = 18;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const Byte* q = in + 2;
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>((q[i] & 15) - 8) * d;
      out[i + 16] = static_cast<float>((q[i] >> 4) - 8) * d;
    }
  }
};

struct Q4_1 {
  static constexpr int kElements = 32, kBytes = 20;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in), m = load_half(in + 2);
    const Byte* q = in + 4;
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(q[i] & 15) * d + m;
      out[i + 16] = static_cast<float>(q[i] >> 4) * d + m;
    }
  }
};

/// The fifth bit of element i of 32, in place.
int fifth_bit(std::uint32_t high, int i) {
  return static_cast<int>((high >> i) & 1u) << 4;
}

struct Q5_0 {
  static constexpr int kElements = 32, kBytes = 22;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const std::uint32_t high = load_u32(in + 2);
    const Byte* q = in + 6;
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(((q[i] & 15) | fifth_bit(high, i)) - 16) * d;
      out[i + 16] = static_cast<float>(((q[i] >> 4) | fifth_bit(high, i + 16)) - 16) * d;
    }
  }
};

struct Q5_1 {
  static constexpr int kElements = 32, kBytes = 24;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in), m = load_half(in + 2);
    const std::uint32_t high = load_u32(in + 4);
    const Byte* q = in + 8;
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>((q[i] & 15) | fifth_bit(high, i)) * d + m;
      out[i + 16] = static_cast<float>((q[i] >> 4) | fifth_bit(high, i + 16)) * d + m;
    }
  }
};

struct Q8_0 {
  static constexpr int kElements = 32, kBytes = 34;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    for (int i = 0; i < 32; ++i)
      out[i] = static_cast<float>(static_cast<std::int8_t>(in[2 + i])) * d;
  }
};

// The K types: 256 elements in 8 groups of 32 (16 of 16 for Q6_K), a scale a group, and a minimum.

struct ScaleMin {
  int scale, min;
};

/// Eight 6-bit scales and eight 6-bit minima in 12 bytes: the first four of each stand in the low
/// six bits of bytes 0..3 and 4..7, the last four have their low nibbles in bytes 8..11 and their
/// two high bits on top of bytes 0..7.
ScaleMin scale_min(const Byte* packed, int group) {
  if (group < 4) return {packed[group] & 63, packed[group + 4] & 63};
  return {(packed[group + 4] & 15) | ((packed[group - 4] >> 6) << 4),
          (packed[group + 4] >> 4) | ((packed[group] >> 6) << 4)};
}

struct Q4_K {
  static constexpr int kElements = 256, kBytes = 144;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in), dmin = load_half(in + 2);
    for (int pair = 0; pair < 4; ++pair) {
      const Byte* q = in + 16 + 32 * pair;
      const ScaleMin low = scale_min(in + 4, 2 * pair), high = scale_min(in + 4, 2 * pair + 1);
      const float d1 = d * static_cast<float>(low.scale), m1 = dmin * static_cast<float>(low.min);
      const float d2 = d * static_cast<float>(high.scale), m2 = dmin * static_cast<float>(high.min);
      float* group = out + 64 * pair;
      for (int i = 0; i < 32; ++i) group[i] = d1 * static_cast<float>(q[i] & 15) - m1;
      for (int i = 0; i < 32; ++i) group[i + 32] = d2 * static_cast<float>(q[i] >> 4) - m2;
    }
  }
};

struct Q5_K {
  static constexpr int kElements = 256, kBytes = 176;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in), dmin = load_half(in + 2);
    const Byte* fifth = in + 16;  // bit g of byte i: element i of group g
    for (int pair = 0; pair < 4; ++pair) {
      const Byte* q = in + 48 + 32 * pair;
      const ScaleMin low = scale_min(in + 4, 2 * pair), high = scale_min(in + 4, 2 * pair + 1);
      const float d1 = d * static_cast<float>(low.scale), m1 = dmin * static_cast<float>(low.min);
      const float d2 = d * static_cast<float>(high.scale), m2 = dmin * static_cast<float>(high.min);
      const int shift = 2 * pair;
      float* group = out + 64 * pair;
      for (int i = 0; i < 32; ++i) {
        const int five = (q[i] & 15) | (((fifth[i] >> shift) & 1) << 4);
        group[i] = d1 * static_cast<float>(five) - m1;
      }
      for (int i = 0; i < 32; ++i) {
        const int five = (q[i] >> 4) | (((fifth[i] >> (shift + 1)) & 1) << 4);
        group[i + 32] = d2 * static_cast<float>(five) - m2;
      }
    }
  }
};

struct Q6_K {
  static constexpr int kElements = 256, kBytes = 210;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in + 208);
    for (int half = 0; half < 2; ++half) {
      const Byte* low = in + 64 * half;
      const Byte* high = in + 128 + 32 * half;
      for (int quarter = 0; quarter < 4; ++quarter) {
        // Quarters 0 and 1 are the low nibbles of 64 bytes, 2 and 3 the high ones.
        const Byte* q = low + 32 * (quarter % 2);
        const int nibble = 4 * (quarter / 2), shift = 2 * quarter;
        for (int part = 0; part < 2; ++part) {
          const auto scale = static_cast<std::int8_t>(in[192 + 8 * half + 2 * quarter + part]);
          const float ds = d * static_cast<float>(scale);
          float* group = out + 128 * half + 32 * quarter + 16 * part;
          for (int i = 0; i < 16; ++i) {
            const int j = 16 * part + i;
            const int six = ((q[j] >> nibble) & 15) | (((high[j] >> shift) & 3) << 4);
            group[i] = ds * static_cast<float>(six - 32);
          }
        }
      }
    }
  }
};

/// Calls body(Block{}) for the block layout of `type`.
template <class Body>
void with_block(GgmlType type, Body body) {
  switch (type) {
    case GgmlType::f32:
      return body(F32{});
    case GgmlType::f16:
      return body(F16{});
    case GgmlType::bf16:
      return body(Bf16{});
    case GgmlType::q4_0:
      return body(Q4_0{});
    case GgmlType::q4_1:
      return body(Q4_1{});
    case GgmlType::q5_0:
      return body(Q5_0{});
    case GgmlType::q5_1:
      return body(Q5_1{});
    case GgmlType::q8_0:
      return body(Q8_0{});
    case GgmlType::q4_k:
      return body(Q4_K{});
    case GgmlType::q5_k:
      return body(Q5_K{});
    case GgmlType::q6_k:
      return body(Q6_K{});
  }
  SAFESAIL_CHECK(!"a known ggml type");
}

/// Decodes block by block into a buffer that stays in the first cache and hands each to `store`.
/// The last group of a float type may be short; it is padded, and cut again.
template <class Block, class Out, class Store>
void decode_all(const Byte* in, std::span<Out> out, Store store) {
  std::array<float, Block::kElements> values;
  const std::size_t n_whole = out.size() / Block::kElements;
  for (std::size_t b = 0; b < n_whole; ++b) {
    Block::decode(in + b * Block::kBytes, values.data());
    for (int i = 0; i < Block::kElements; ++i) out[b * Block::kElements + i] = store(values[i]);
  }
  const std::size_t done = n_whole * Block::kElements;
  if (done == out.size()) return;
  std::array<Byte, Block::kBytes> rest{};
  constexpr std::size_t kWidth = Block::kBytes / Block::kElements;
  std::memcpy(rest.data(), in + n_whole * Block::kBytes, (out.size() - done) * kWidth);
  Block::decode(rest.data(), values.data());
  for (std::size_t i = done; i < out.size(); ++i) out[i] = store(values[i - done]);
}

template <class Out, class Store>
void decode_range(const GgufTensor& tensor, std::int64_t first, std::span<Out> out, Store store) {
  const GgmlBlock block = block_of(tensor.type);
  const auto n = static_cast<std::int64_t>(out.size());
  SAFESAIL_CHECK(first >= 0 && first % block.elements == 0 && n % block.elements == 0);
  SAFESAIL_CHECK(first <= tensor.n_elements() && n <= tensor.n_elements() - first);
  const std::span<const std::byte> bytes =
      tensor.bytes.subspan(first / block.elements * block.bytes, n / block.elements * block.bytes);
  with_block(tensor.type, [&]<class Block>(Block) {
    decode_all<Block>(reinterpret_cast<const Byte*>(bytes.data()), out, store);
  });
}

}  // namespace

void dequantize(const GgufTensor& tensor, std::int64_t first, std::span<float> out) {
  decode_range(tensor, first, out, [](float value) { return value; });
}

void dequantize_bf16(const GgufTensor& tensor, std::int64_t first, std::span<std::uint16_t> out) {
  decode_range(tensor, first, out, bf16_of_float);
}

}  // namespace safesail
