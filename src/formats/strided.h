// Tensors as torch and numpy store them: a shape, strides and an offset into a storage. Checked
// against the storage, then given as a contiguous view: in place where it is, else as a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "formats/tensor.h"

namespace safesail {

/// A tensor inside `storage`; strides and offset count elements.
struct StridedTensor {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape, strides;
  std::int64_t offset = 0;
  std::span<const std::byte> storage;
};

/// The strides of a row-major (C order) or column-major (Fortran order) tensor. The shape must be
/// countable (checked_byte_size).
std::vector<std::int64_t> row_major_strides(std::span<const std::int64_t> shape);
std::vector<std::int64_t> column_major_strides(std::span<const std::int64_t> shape);

/// Owns the copies that views point to; grows only, so views stay valid while it lives.
using TensorCopies = std::deque<std::vector<std::byte>>;

/// An input error, naming `where`, when an element lies outside the storage, when the shape repeats
/// elements (stride 0) so that a copy would be larger than the storage, or when all copies together
/// would be larger than `max_copied`.
TensorView contiguous(const StridedTensor& tensor, TensorCopies& copies, std::uint64_t max_copied,
                      const std::string& where);

}  // namespace safesail
