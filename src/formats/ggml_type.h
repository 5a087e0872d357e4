// The tensor types of GGUF files: those we read, and the names of those we do not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace safesail {

/// The types we read; the numbers are ggml's.
enum class GgmlType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

/// "Q4_K"
std::string_view name_of(GgmlType type);
/// Nothing when the number is not one of a type we read.
std::optional<GgmlType> ggml_type_numbered(std::uint32_t number);

/// Elements of one quantisation block of a type (1 for the float types) and its bytes.
struct GgmlBlock {
  std::int64_t elements;
  std::int64_t bytes;
};
GgmlBlock block_of(GgmlType type);

/// For errors: "IQ4_XS (23)", "type 99"; and every type we read, joined.
std::string ggml_type_text(std::uint32_t number);
std::string known_ggml_types();

}  // namespace safesail
