// The (token, feature) pairs of some codes in feature order: what the sparse kernels walk through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace safesail {

/// Gives `values` n elements; what they were is lost. Grows with an eighth to spare (memory that is
/// not touched costs nothing) once the old memory is given back: the number of pairs differs a
/// little from batch to batch, and outgrown arrays would stay in the heap.
template <class T>
void resize_anew(std::vector<T>& values, std::size_t n) {
  if (n > values.capacity()) {
    values = {};
    values.reserve(n + n / 8);
  }
  values.resize(n);
}

/// Numbers of pairs, for loops: first, first + 1, ... last - 1.
struct PairRange {
  struct Iterator {
    std::size_t pair;
    std::size_t operator*() const { return pair; }
    Iterator& operator++() {
      ++pair;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return pair != other.pair; }
  };
  std::size_t first, last;

  Iterator begin() const { return {first}; }
  Iterator end() const { return {last}; }
  std::size_t size() const { return last - first; }
};

/// Pairs of feature f are [offsets[f], offsets[f + 1]), by rising token.
struct ByFeature {
  std::vector<std::int64_t> offsets;  ///< [n_features + 1]
  std::vector<std::int32_t> tokens;   ///< [n_pairs]

  std::int64_t n_features() const { return std::int64_t(offsets.size()) - 1; }
  std::int64_t n_pairs() const { return offsets.back(); }
  std::size_t begin_of(std::int64_t feature) const {
    return std::size_t(offsets[std::size_t(feature)]);
  }
  /// The pairs of features [first, last), or of one.
  PairRange of(std::int64_t first, std::int64_t last) const {
    return {begin_of(first), begin_of(last)};
  }
  PairRange of(std::int64_t feature) const { return of(feature, feature + 1); }

  /// Cuts features [first, last) into `n_parts` of about equal work (some may be empty), at
  /// multiples of `step`; returns n_parts + 1 borders.
  std::vector<std::int64_t> split(std::int64_t first, std::int64_t last, std::int64_t n_parts,
                                  std::int64_t step = 1) const;
};

}  // namespace safesail
