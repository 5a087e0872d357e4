// What contrast pairs are samples of, and which of them are held out.
//
// Not pairs are drawn, and held out, but the finest concepts ("hostage taking"; a template of
// HateCheck) with all their pairs and translations: a feature that fires on a word fires in all
// pairs with it, and a translation says the same again. The finest concepts of a subclass are a
// stratum, or all of the domain's where some stand in several of its subclasses; where a stratum is
// a single one, its units are the pairs, a pair with its translations.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "select/pairs.h"

namespace safesail {

/// What a number was made from: so many things drawn, from so many groups each of its own.
struct DrawnFrom {
  std::size_t n_units = 0, n_strata = 0;
};

struct PairUnits {
  std::vector<std::size_t> unit;     ///< of each pair
  std::vector<std::size_t> stratum;  ///< of each unit

  explicit PairUnits(const std::vector<ContrastPair>& pairs);

  /// The units of each stratum, of those that have a pair among `pairs`.
  std::vector<std::vector<std::size_t>> members(std::span<const std::size_t> pairs) const;
  DrawnFrom drawn_from(std::span<const std::size_t> pairs) const;
};

/// Numbers into the list of pairs, rising.
struct PairSplit {
  std::vector<std::size_t> choosing, held_out;
};

/// Holds out this share of the units of each stratum, drawn by the seed; of two or more at least
/// one and never all. Share 0: none.
PairSplit split_pairs(const PairUnits& units, double share, std::uint64_t seed);

}  // namespace safesail
