// A matrix [n_rows, n_columns] of f32 stored as blocks of 64 columns, each block [n_rows][64], the
// last one padded with zeros. The sparse kernels gather rows: within one block the rows of a few
// thousand tokens fit the L2 cache, whole rows of 8 KB would not.
#pragma once

#include <cstdint>

#include "sae/aligned.h"

namespace safesail {

inline constexpr std::int64_t kBlockColumns = 64;

class ColumnBlocks {
 public:
  ColumnBlocks() = default;

  /// Keeps the memory when it suffices; contents are then unspecified, the padding included.
  void resize(std::int64_t n_rows, std::int64_t n_columns) {
    n_rows_ = n_rows;
    n_columns_ = n_columns;
    data_.reserve_zeros(std::size_t(n_blocks() * n_rows * kBlockColumns));
  }

  std::int64_t n_rows() const { return n_rows_; }
  std::int64_t n_columns() const { return n_columns_; }
  std::int64_t n_blocks() const { return (n_columns_ + kBlockColumns - 1) / kBlockColumns; }
  /// Columns of block `b` that are not padding.
  std::int64_t width(std::int64_t b) const {
    const std::int64_t left = n_columns_ - b * kBlockColumns;
    return left < kBlockColumns ? left : kBlockColumns;
  }
  float* block(std::int64_t b) { return data_.data() + b * n_rows_ * kBlockColumns; }
  const float* block(std::int64_t b) const { return data_.data() + b * n_rows_ * kBlockColumns; }

 private:
  std::int64_t n_rows_ = 0, n_columns_ = 0;
  Aligned<float> data_;
};

}  // namespace safesail
