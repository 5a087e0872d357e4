#include "select/pair_resamples.h"

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "base/error.h"
#include "base/rng.h"
#include "select/significance.h"

namespace safesail {
namespace {

using Name = std::tuple<std::string, std::string, std::string>;

/// A number for each name, in order of appearance.
std::size_t number_of(std::map<Name, std::size_t>& known, const Name& name) {
  return known.emplace(name, known.size()).first->second;
}

/// Domains in which a finest concept stands in several subclasses.
std::set<std::string> crossed_domains(const std::vector<ContrastPair>& pairs) {
  std::map<std::pair<std::string, std::string>, std::string> subclass;
  std::set<std::string> crossed;
  for (const ContrastPair& pair : pairs) {
    const auto [found, is_new] = subclass.try_emplace({pair.domain, pair.concept_}, pair.subclass);
    if (found->second != pair.subclass) crossed.insert(pair.domain);
  }
  return crossed;
}

}  // namespace

PairResamples::PairResamples(const std::vector<ContrastPair>& pairs, std::size_t n,
                             std::uint64_t seed) {
  const std::set<std::string> crossed = crossed_domains(pairs);
  const auto stratum_name = [&](const ContrastPair& pair) {
    return Name(pair.domain, crossed.contains(pair.domain) ? "" : pair.subclass, "");
  };
  std::map<Name, std::set<std::string>> concepts_of_stratum;
  for (const ContrastPair& pair : pairs)
    concepts_of_stratum[stratum_name(pair)].insert(pair.concept_);

  std::map<Name, std::size_t> strata, units, sides;
  std::vector<std::size_t> side(pairs.size());    // swapped together
  std::vector<std::vector<std::size_t>> members;  // [stratum] units
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const ContrastPair& pair = pairs[p];
    const Name name = stratum_name(pair);
    const std::size_t stratum = number_of(strata, name);
    const bool has_one = concepts_of_stratum[name].size() == 1;
    // A pair's id follows a concept's name nowhere: the last part tells the two kinds apart.
    unit_.push_back(number_of(units, has_one ? Name(pair.domain, pair.subclass, "pair " + pair.id)
                                             : Name(pair.domain, "", "concept " + pair.concept_)));
    if (unit_.back() == stratum_.size()) {
      stratum_.push_back(stratum);
      members.resize(strata.size());
      members[stratum].push_back(unit_.back());
    }
    side[p] = number_of(sides, Name(pair.domain, pair.subclass, pair.id));
  }

  Rng draw_rng(seed, "draws of concepts"), swap_rng(seed, "label swaps");
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<std::uint16_t> drawn(stratum_.size());
    for (const std::vector<std::size_t>& own : members)
      for (std::size_t j = 0; j < own.size(); ++j) ++drawn[own[draw_rng.below(own.size())]];
    std::vector<std::uint8_t> swapped(sides.size());
    for (std::uint8_t& exchanged : swapped) exchanged = swap_rng.below(2) == 1;
    auto& draw = draws_.emplace_back();
    auto& swap = swaps_.emplace_back();
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      draw.push_back(drawn[unit_[p]]);
      swap.push_back(swapped[side[p]]);
    }
  }
}

DrawnFrom PairResamples::drawn_from(std::span<const std::size_t> pairs) const {
  std::set<std::size_t> units, strata;
  for (const std::size_t pair : pairs) {
    units.insert(unit_[pair]);
    strata.insert(stratum_[unit_[pair]]);
  }
  return {.n_units = units.size(), .n_strata = strata.size()};
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
