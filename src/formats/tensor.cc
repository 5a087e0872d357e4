#include "formats/tensor.h"

#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>

#include "base/error.h"

namespace safesail {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::size_t size;
};

// In the order of the enum, so that a dtype is its own index.
constexpr std::array kDTypes = {
    DTypeRow{DType::f64, "F64", 8},      DTypeRow{DType::f32, "F32", 4},
    DTypeRow{DType::f16, "F16", 2},      DTypeRow{DType::bf16, "BF16", 2},
    DTypeRow{DType::i64, "I64", 8},      DTypeRow{DType::i32, "I32", 4},
    DTypeRow{DType::i16, "I16", 2},      DTypeRow{DType::i8, "I8", 1},
    DTypeRow{DType::u64, "U64", 8},      DTypeRow{DType::u32, "U32", 4},
    DTypeRow{DType::u16, "U16", 2},      DTypeRow{DType::u8, "U8", 1},
    DTypeRow{DType::boolean, "BOOL", 1},
};

const DTypeRow& row_of(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  SAFESAIL_CHECK(index < kDTypes.size() && kDTypes[index].dtype == dtype);
  return kDTypes[index];
}

}  // namespace

std::size_t size_of(DType dtype) {
  return row_of(dtype).size;
}

std::string_view name_of(DType dtype) {
  return row_of(dtype).name;
}

std::optional<DType> dtype_named(std::string_view safetensors_name) {
  for (const DTypeRow& row : kDTypes)
    if (row.name == safetensors_name) return row.dtype;
  return std::nullopt;
}

std::int64_t TensorView::n_elements() const {
  std::int64_t n = 1;
  for (const std::int64_t dim : shape) n *= dim;
  return n;
}

std::string TensorView::shape_text() const {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::optional<std::uint64_t> checked_byte_size(DType dtype, std::span<const std::int64_t> shape) {
  // Elements must be countable in int64 even where a zero dimension makes the bytes zero, so that
  // no later product over some of the dimensions can overflow.
  std::int64_t n_elements = 1;
  bool has_zero = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim == 0)
      has_zero = true;
    else if (__builtin_mul_overflow(n_elements, dim, &n_elements))
      return std::nullopt;
  }
  const auto size = static_cast<std::int64_t>(size_of(dtype));
  if (n_elements > std::numeric_limits<std::int64_t>::max() / size) return std::nullopt;
  return has_zero ? 0 : static_cast<std::uint64_t>(n_elements * size);
}

}  // namespace safesail
