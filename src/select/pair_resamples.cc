#include "select/pair_resamples.h"

#include <cmath>
#include <map>
#include <string>
#include <tuple>

#include "base/rng.h"
#include "select/significance.h"

namespace safesail {

PairResamples::PairResamples(const std::vector<ContrastPair>& pairs,
                             std::span<const std::size_t> among, std::size_t n, std::uint64_t seed)
    : units_(pairs) {
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> sides;
  std::vector<std::size_t> side;  // of each pair; swapped together
  for (const ContrastPair& pair : pairs)
    side.push_back(
        sides.emplace(std::tuple(pair.domain, pair.subclass, pair.id), sides.size()).first->second);

  const std::vector<std::vector<std::size_t>> members = units_.members(among);
  Rng draw_rng(seed, "draws of concepts"), swap_rng(seed, "label swaps");
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<std::uint16_t> drawn(units_.stratum.size());
    for (const std::vector<std::size_t>& own : members)
      for (std::size_t j = 0; j < own.size(); ++j) ++drawn[own[draw_rng.below(own.size())]];
    std::vector<std::uint8_t> swapped(sides.size());
    for (std::uint8_t& exchanged : swapped) exchanged = swap_rng.below(2) == 1;
    auto& draw = draws_.emplace_back(pairs.size());
    auto& swap = swaps_.emplace_back();
    for (const std::size_t p : among) draw[p] = drawn[units_.unit[p]];
    for (std::size_t p = 0; p < pairs.size(); ++p) swap.push_back(swapped[side[p]]);
  }
}

Estimate drawn_interval(double value, std::span<const double> draws, const DrawnFrom& from) {
  double n = 0, mean = 0, square = 0;
  for (const double draw : draws)
    if (std::isfinite(draw)) ++n, mean += draw;
  mean /= n;
  for (const double draw : draws)
    if (std::isfinite(draw)) square += (draw - mean) * (draw - mean);
  if (from.n_units <= from.n_strata || n < 2) return {.value = value};
  const auto degrees = static_cast<double>(from.n_units - from.n_strata);
  const double error = std::sqrt(square / (n - 1) * static_cast<double>(from.n_units) / degrees);
  const double half = student_t(degrees) * error;
  return {.value = value, .low = value - half, .high = value + half};
}

}  // namespace safesail
