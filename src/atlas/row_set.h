// A set of rows of a table: one bit a row, 64 rows a word.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace safesail {

class RowSet {
 public:
  RowSet() = default;
  explicit RowSet(std::size_t n_rows) : n_rows_(n_rows), words_((n_rows + 63) / 64) {}

  std::size_t n_rows() const { return n_rows_; }
  bool contains(std::size_t row) const { return (words_[row / 64] >> (row % 64) & 1) != 0; }
  void insert(std::size_t row) { words_[row / 64] |= std::uint64_t{1} << (row % 64); }

  std::int64_t count() const {
    std::int64_t n = 0;
    for (const std::uint64_t word : words_) n += std::popcount(word);
    return n;
  }
  RowSet& operator&=(const RowSet& other) {
    for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
    return *this;
  }
  RowSet& operator|=(const RowSet& other) {
    for (std::size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
    return *this;
  }
  friend RowSet operator&(RowSet a, const RowSet& b) { return a &= b; }

  /// Keeps the rows for which `wanted(row)` is true.
  template <class Wanted>
  void keep_if(const Wanted& wanted) {
    for (std::size_t w = 0; w < words_.size(); ++w) {
      std::uint64_t kept = 0;
      for (std::uint64_t rest = words_[w]; rest != 0; rest &= rest - 1) {
        const std::uint64_t bit = rest & (~rest + 1);
        if (wanted(64 * w + static_cast<std::size_t>(std::countr_zero(bit)))) kept |= bit;
      }
      words_[w] = kept;
    }
  }
  /// In rising order.
  template <class Visit>
  void each(const Visit& visit) const {
    for (std::size_t w = 0; w < words_.size(); ++w)
      for (std::uint64_t rest = words_[w]; rest != 0; rest &= rest - 1)
        visit(64 * w + static_cast<std::size_t>(std::countr_zero(rest)));
  }

  static RowSet all(std::size_t n_rows) {
    RowSet rows(n_rows);
    for (std::size_t row = 0; row < n_rows; ++row) rows.insert(row);
    return rows;
  }

 private:
  std::size_t n_rows_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace safesail
