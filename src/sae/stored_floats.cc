#include "sae/stored_floats.h"

#include <ATen/ATen.h>
#include <cstring>
#include <optional>

namespace safesail {
namespace {

std::optional<at::ScalarType> float_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return at::kDouble;
    case DType::f32:
      return at::kFloat;
    case DType::f16:
      return at::kHalf;
    case DType::bf16:
      return at::kBFloat16;
    default:
      return std::nullopt;
  }
}

}  // namespace

bool are_floats(DType dtype) {
  return float_type(dtype).has_value();
}

at::Tensor stored_floats(const TensorView& tensor) {
  const std::optional<at::ScalarType> type = float_type(tensor.dtype);
  if (!type) return {};
  const auto options = at::TensorOptions(*type);
  if (reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % size_of(tensor.dtype) == 0)
    return at::from_blob(const_cast<std::byte*>(tensor.bytes.data()), tensor.shape, options);
  at::Tensor copy = at::empty(tensor.shape, options);
  std::memcpy(copy.mutable_data_ptr(), tensor.bytes.data(), tensor.bytes.size());
  return copy;
}

}  // namespace safesail
