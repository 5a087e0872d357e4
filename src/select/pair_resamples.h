// Draws and label swaps of contrast pairs, made once for all SAEs, concepts and languages: what is
// compared is compared on the same ones.
//
// Drawn are not pairs but what they are samples of, the finest concepts ("hostage taking"; a
// template of HateCheck): a feature that fires on a word fires in all pairs with it, and a pair's
// translations say the same again. Each subclass's finest concepts are drawn from among themselves,
// or all of the domain's where some stand in several of its subclasses; where there is but one, the
// pairs are drawn, a pair with its translations. A swap exchanges the sides of a pair in all
// languages.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bootstrap.h"
#include "select/pairs.h"

namespace safesail {

/// What a number was made from: so many things drawn, from so many groups each of its own.
struct DrawnFrom {
  std::size_t n_units = 0, n_strata = 0;
};

class PairResamples {
 public:
  PairResamples(const std::vector<ContrastPair>& pairs, std::size_t n, std::uint64_t seed);

  std::size_t n() const { return draws_.size(); }
  /// How often each pair stands in a draw.
  std::span<const std::uint16_t> draw(std::size_t i) const { return draws_[i]; }
  /// 1 for the pairs whose sides a swap exchanges.
  std::span<const std::uint8_t> swap(std::size_t i) const { return swaps_[i]; }
  DrawnFrom drawn_from(std::span<const std::size_t> pairs) const;

 private:
  std::vector<std::size_t> unit_;     ///< of each pair
  std::vector<std::size_t> stratum_;  ///< of each unit
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
