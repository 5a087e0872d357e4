#include "select/pair_units.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "base/error.h"
#include "base/rng.h"

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

PairUnits::PairUnits(const std::vector<ContrastPair>& pairs) {
  const std::set<std::string> crossed = crossed_domains(pairs);
  const auto stratum_name = [&](const ContrastPair& pair) {
    return Name(pair.domain, crossed.contains(pair.domain) ? "" : pair.subclass, "");
  };
  std::map<Name, std::set<std::string>> concepts_of_stratum;
  for (const ContrastPair& pair : pairs)
    concepts_of_stratum[stratum_name(pair)].insert(pair.concept_);

  std::map<Name, std::size_t> strata, units;
  for (const ContrastPair& pair : pairs) {
    const Name name = stratum_name(pair);
    const bool has_one = concepts_of_stratum[name].size() == 1;
    // A pair's id follows a concept's name nowhere: the last part tells the two kinds apart.
    unit.push_back(number_of(units, has_one ? Name(pair.domain, pair.subclass, "pair " + pair.id)
                                            : Name(pair.domain, "", "concept " + pair.concept_)));
    if (unit.back() == stratum.size()) stratum.push_back(number_of(strata, name));
  }
}

std::vector<std::vector<std::size_t>> PairUnits::members(std::span<const std::size_t> pairs) const {
  std::map<std::size_t, std::set<std::size_t>> of_stratum;
  for (const std::size_t pair : pairs) of_stratum[stratum[unit[pair]]].insert(unit[pair]);
  std::vector<std::vector<std::size_t>> all;
  for (const auto& [number, own] : of_stratum) all.emplace_back(own.begin(), own.end());
  return all;
}

DrawnFrom PairUnits::drawn_from(std::span<const std::size_t> pairs) const {
  DrawnFrom from;
  for (const std::vector<std::size_t>& own : members(pairs)) {
    from.n_units += own.size();
    ++from.n_strata;
  }
  return from;
}

PairSplit split_pairs(const PairUnits& units, double share, std::uint64_t seed) {
  SAFESAIL_CHECK(share >= 0 && share < 1);
  std::vector<std::size_t> all(units.unit.size());
  for (std::size_t p = 0; p < all.size(); ++p) all[p] = p;
  std::vector<bool> held(units.stratum.size());
  Rng rng(seed, "held-out concepts");
  for (std::vector<std::size_t>& own : units.members(all)) {
    if (share == 0 || own.size() < 2) continue;
    const auto wanted =
        static_cast<std::size_t>(std::lround(share * static_cast<double>(own.size())));
    const std::size_t n = std::clamp(wanted, std::size_t{1}, own.size() - 1);
    for (std::size_t i = 0; i < n; ++i) {  // the first n of a Fisher-Yates shuffle
      std::swap(own[i], own[i + rng.below(own.size() - i)]);
      held[own[i]] = true;
    }
  }
  PairSplit split;
  for (const std::size_t pair : all)
    (held[units.unit[pair]] ? split.held_out : split.choosing).push_back(pair);
  return split;
}

}  // namespace safesail
