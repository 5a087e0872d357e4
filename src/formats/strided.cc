#include "formats/strided.h"

#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxDimensions = 16;
constexpr std::string_view kRemedy = "load the tensor with its own tool and save a clone of it";

/// The index of the last element, or a negative number when it overflows or strides are negative.
std::int64_t last_index(const StridedTensor& tensor) {
  std::int64_t last = tensor.offset;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t step = 0;
    if (tensor.strides[i] < 0 ||
        __builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last))
      return -1;
  }
  return last;
}

void copy_strided(const StridedTensor& tensor, std::span<std::byte> out) {
  const std::size_t size = size_of(tensor.dtype);
  const std::size_t n_dims = tensor.shape.size();
  std::vector<std::int64_t> index(n_dims, 0);
  std::int64_t from = tensor.offset;
  for (std::size_t at = 0; at < out.size(); at += size) {
    std::memcpy(out.data() + at, tensor.storage.data() + std::size_t(from) * size, size);
    for (std::size_t i = n_dims; i-- > 0;) {  // the next element in row-major order
      if (++index[i] < tensor.shape[i]) {
        from += tensor.strides[i];
        break;
      }
      // Never beyond the last element, where the stride of a dimension of size 1 may be anything.
      from -= (tensor.shape[i] - 1) * tensor.strides[i];
      index[i] = 0;
    }
  }
}

}  // namespace

std::vector<std::int64_t> row_major_strides(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

std::vector<std::int64_t> column_major_strides(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

TensorView contiguous(const StridedTensor& tensor, TensorCopies& copies, std::uint64_t max_copied,
                      const std::string& where) {
  if (tensor.shape.size() != tensor.strides.size() || tensor.shape.size() > kMaxDimensions)
    bad_input(where,
              fmt::format("expected a stride a dimension, at most {}, got {} for {}",
                          kMaxDimensions, tensor.strides.size(), tensor.shape.size()),
              kRemedy);
  const auto n_bytes = checked_byte_size(tensor.dtype, tensor.shape);
  if (!n_bytes || tensor.offset < 0)
    bad_input(where,
              fmt::format("expected a shape that can be counted, got [{}] at {}",
                          fmt::join(tensor.shape, ", "), tensor.offset),
              kRemedy);
  if (*n_bytes == 0) return {tensor.dtype, tensor.shape, {}};

  const std::size_t size = size_of(tensor.dtype);
  const std::uint64_t n_stored = tensor.storage.size() / size;
  const std::int64_t last = last_index(tensor);
  if (last < 0 || std::uint64_t(last) >= n_stored)
    bad_input(where,
              fmt::format("expected a tensor within the {} elements of its storage, got shape [{}] "
                          "with strides [{}] from {}",
                          n_stored, fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", "),
                          tensor.offset),
              "the file is damaged: fetch it again");

  bool is_contiguous = true;
  const auto packed_strides = row_major_strides(tensor.shape);
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    is_contiguous &= tensor.shape[i] == 1 || tensor.strides[i] == packed_strides[i];
  if (is_contiguous)
    return {tensor.dtype, tensor.shape,
            tensor.storage.subspan(std::size_t(tensor.offset) * size, *n_bytes)};

  std::uint64_t n_copied = *n_bytes;
  for (const auto& copy : copies) n_copied += copy.size();
  if (*n_bytes > tensor.storage.size() || n_copied > max_copied)
    bad_input(where,
              fmt::format("expected each element once, got shape [{}] with strides [{}]",
                          fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", ")),
              kRemedy);
  copies.emplace_back(*n_bytes);
  copy_strided(tensor, copies.back());
  return {tensor.dtype, tensor.shape, copies.back()};
}

}  // namespace safesail
