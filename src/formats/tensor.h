// What every tensor reader gives and every tensor writer takes: a dtype, a shape and a span of
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

/// Bytes of one element.
std::size_t size_of(DType dtype);

/// The safetensors spelling: "F32", "BF16", "I64", "BOOL"...
std::string_view name_of(DType dtype);
std::optional<DType> dtype_named(std::string_view safetensors_name);

/// A non-owning, row-major, contiguous view, last dimension fastest. Valid as long as its owner (a
/// mapped file, a vector).
struct TensorView {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  /// Product of the shape; 1 for a scalar.
  std::int64_t n_elements() const;
  /// "[49152, 576]"
  std::string shape_text() const;
};

/// Product of `shape` as a byte count for `dtype`, or nothing when it overflows or a dimension is
/// negative.
std::optional<std::uint64_t> checked_byte_size(DType dtype, std::span<const std::int64_t> shape);

}  // namespace safesail
