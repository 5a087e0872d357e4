// The (token, feature) pairs of some codes in feature order: what the sparse kernels walk through.
#pragma once

#include <cstdint>
#include <vector>

#include "sae/sae.h"

namespace safesail {

/// Pairs of feature f are [offsets[f], offsets[f + 1]), by rising token. Immutable once built.
struct ByFeature {
  std::vector<std::int64_t> offsets;  ///< [n_features + 1]
  std::vector<std::int32_t> tokens;   ///< [n_pairs]
  std::vector<std::int32_t> slots;    ///< [n_pairs] where the pair stands in the codes

  std::int64_t n_features() const { return std::int64_t(offsets.size()) - 1; }
  std::int64_t n_pairs() const { return offsets.back(); }

  /// Cuts features [first, last) into `n_parts` of about equal work (some may be empty), at
  /// multiples of `step`; returns n_parts + 1 borders.
  std::vector<std::int64_t> split(std::int64_t first, std::int64_t last, std::int64_t n_parts,
                                  std::int64_t step = 1) const;
};

/// Reuses the memory of `out`. At most 2^31 - 1 pairs.
void sort_by_feature(const SparseCodes& codes, std::int64_t n_features, ByFeature& out);

}  // namespace safesail
