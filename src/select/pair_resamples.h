// Draws and label swaps of contrast pairs, made once for all SAEs, concepts and languages: what is
// compared is compared on the same ones. Drawn are the units of pair_units.h, each stratum's from
// among themselves. A swap exchanges the sides of a pair in all languages.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bootstrap.h"
#include "select/pair_units.h"
#include "select/pairs.h"

namespace safesail {

class PairResamples {
 public:
  /// Of those of `pairs` whose numbers are `among`; the others stand in no draw.
  PairResamples(const std::vector<ContrastPair>& pairs, std::span<const std::size_t> among,
                std::size_t n, std::uint64_t seed);

  std::size_t n() const { return draws_.size(); }
  /// How often each pair stands in a draw.
  std::span<const std::uint16_t> draw(std::size_t i) const { return draws_[i]; }
  /// 1 for the pairs whose sides a swap exchanges.
  std::span<const std::uint8_t> swap(std::size_t i) const { return swaps_[i]; }
  DrawnFrom drawn_from(std::span<const std::size_t> pairs) const {
    return units_.drawn_from(pairs);
  }

 private:
  PairUnits units_;
  std::vector<std::vector<std::uint16_t>> draws_;
  std::vector<std::vector<std::uint8_t>> swaps_;
};

/// `value` +- t standard errors, from its values in draws: Student's t with a degree of freedom for
/// each unit beyond the first of its stratum, and the variance of the draws by n_units / (n_units -
/// n_strata), which few units make too small (Efron and Tibshirani 1993, 5.3). Percentiles would
/// lie too high: what is drawn twice lifts features over a threshold. Draws that are not finite
/// (none of a language's pairs was in them) count for nothing. No interval from a single unit.
Estimate drawn_interval(double value, std::span<const double> draws, const DrawnFrom& from);

}  // namespace safesail
