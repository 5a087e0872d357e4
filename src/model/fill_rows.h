// How a tensor in memory is filled with rows of the tensors of a file: in another order, turned,
// several below one another. In parallel inside.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <functional>
#include <vector>

#include "model/weight_source.h"

namespace safesail {

using Shape = std::vector<std::int64_t>;

/// Rows [first_row, first_row + n_rows) of a tensor in memory. Row r of them (counted from
/// first_row) is row source_row(r) of `source`, a tensor of the file; where that is `transposed`,
/// its column r.
struct SourceRows {
  SourceTensor source;
  std::int64_t first_row, n_rows;
  std::function<std::int64_t(std::int64_t)> source_row;
  bool transposed;
};

/// A tensor to be, [rows, columns] or [rows].
struct Target {
  at::Tensor* tensor;
  Shape shape;
  at::ScalarType dtype;
  double offset = 0;    ///< added to every element
  bool zeroed = false;  ///< the pieces leave rows out, which are 0
  std::vector<SourceRows> pieces;

  std::uint64_t bytes() const;
};

/// Fills `target.tensor`, which has its shape and dtype already.
void fill_rows(const Target& target);

}  // namespace safesail
