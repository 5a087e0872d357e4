#include "select/recommendation.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "select/selection.h"

namespace safesail {
namespace {

using Member = std::size_t;  // place in the list of all SAEs
using SitePair = std::pair<std::string, std::string>;
/// The SAEs of a configuration: at each site, by seed.
using Members = std::map<SitePair, std::multimap<std::uint64_t, Member>>;

/// "runs/a" of "runs/a/sae/mlp_out.5/topk-k32/sae.safetensors"; what lies above a site's folder.
std::string run_of(const SaeIdentity& id) {
  fs::path folder = fs::path(id.path).parent_path().parent_path().parent_path();
  if (folder.filename() == "sae") folder = folder.parent_path();
  return folder.string();
}

std::map<Configuration, Members> group(const std::vector<SaeSelection>& saes) {
  std::set<std::string> runs;
  for (const SaeSelection& sae : saes) runs.insert(run_of(sae.id));
  std::map<Configuration, Members> groups;
  for (Member i = 0; i < saes.size(); ++i) {
    const SaeIdentity& id = saes[i].id;
    groups[{.transcoder = id.site != id.output_site,
            .architecture = id.architecture,
            .k = id.k,
            .n_features = id.n_features,
            .run = runs.size() > 1 ? run_of(id) : ""}][{id.site, id.output_site}]
        .emplace(id.seed, i);
  }
  return groups;
}

/// Something of an SAE, averaged over the seeds at each site and then over sites.
template <class Value>
double mean_over(const Members& members, Value&& value) {
  double sum = 0;
  for (const auto& [site, by_seed] : members)
    for (const auto& [seed, sae] : by_seed) sum += value(sae) / static_cast<double>(by_seed.size());
  return sum / static_cast<double>(members.size());
}

/// The lowest seed that each site has; else each site's lowest.
std::vector<Member> one_a_site(const Members& members) {
  const auto everywhere = [&](std::uint64_t seed) {
    return std::ranges::all_of(members, [&](const auto& at) { return at.second.contains(seed); });
  };
  std::optional<std::uint64_t> common;
  for (const auto& [seed, sae] : members.begin()->second)
    if (!common && everywhere(seed)) common = seed;
  std::vector<Member> chosen;
  for (const auto& [site, by_seed] : members)
    chosen.push_back(common ? by_seed.find(*common)->second : by_seed.begin()->second);
  return chosen;
}

/// A configuration while it is ranked.
struct Contender {
  Ranked ranked;
  std::vector<double> draws;  ///< its excess in each draw of the pairs
  DrawnFrom from;
};

Contender contender(const Configuration& configuration, const Members& members,
                    const std::vector<SaeSelection>& saes) {
  Contender result{.ranked = {.configuration = configuration, .n_sites = members.size()}};
  Ranked& ranked = result.ranked;
  const auto mean = [&](auto value) {
    return mean_over(members, [&](Member sae) -> double { return value(saes[sae]); });
  };
  const double excess =
      mean([](const SaeSelection& sae) { return sae.l0_t[kRankedThreshold].excess.value; });
  ranked.mean_l0 = mean([](const SaeSelection& sae) {
    return sae.reconstruction ? sae.reconstruction->l0.value
                              : std::numeric_limits<double>::quiet_NaN();
  });
  ranked.mean_fvu = mean([](const SaeSelection& sae) {
    return sae.reconstruction ? sae.reconstruction->fvu.value
                              : std::numeric_limits<double>::quiet_NaN();
  });
  for (const auto& [site, by_seed] : members)
    ranked.n_seeds = std::max(ranked.n_seeds, by_seed.size());
  ranked.saes = one_a_site(members);
  const SaeSelection& first = saes[ranked.saes.front()];
  for (std::size_t r = 0; r < first.ranked_draws.size(); ++r)
    result.draws.push_back(mean([r](const SaeSelection& sae) { return sae.ranked_draws[r]; }));
  result.from = first.drawn_from;
  ranked.excess = drawn_interval(excess, result.draws, result.from);
  return result;
}

/// L0 as evaluated, else as aimed at; NaN where neither is known.
double sparsity(const Ranked& ranked) {
  if (!std::isnan(ranked.mean_l0)) return ranked.mean_l0;
  const auto k = static_cast<double>(ranked.configuration.k);
  return k > 0 ? k : std::numeric_limits<double>::quiet_NaN();
}

/// Those of one kind, best first.
std::vector<Ranked> rank(std::vector<Contender> contenders) {
  std::ranges::stable_sort(contenders, std::greater<>(),
                           [](const Contender& one) { return one.ranked.excess.value; });
  std::vector<Ranked> ranking;
  for (Contender& one : contenders) {
    const Contender& best = contenders.front();
    std::vector<double> differences;
    for (std::size_t r = 0; r < one.draws.size(); ++r)
      differences.push_back(best.draws[r] - one.draws[r]);
    one.ranked.behind =
        drawn_interval(best.ranked.excess.value - one.ranked.excess.value, differences, one.from);
    ranking.push_back(one.ranked);
  }
  return ranking;
}

/// Of a ranking the sparsest that is not clearly worse than the first.
std::size_t choose(const std::vector<Ranked>& ranking) {
  std::size_t chosen = 0;
  for (std::size_t i = 1; i < ranking.size(); ++i)  // comparisons with what is not known are false
    if (ranking[i].behind.low <= 0 && sparsity(ranking[i]) < sparsity(ranking[chosen])) chosen = i;
  return chosen;
}

std::string l0_of(const Ranked& ranked) {
  const double l0 = sparsity(ranked);
  return std::isnan(l0) ? "L0 not known" : fmt::format("L0 {:.0f}", l0);
}

std::string reason_for(const Ranked& chosen, const Ranked& best) {
  std::string reason = fmt::format(
      "{}: {:.1f} features a concept ({:.1f} to {:.1f}) fire with it and not without it "
      "in over a fifth of its pairs, beyond what chance gives, on the pairs that it was chosen by; "
      "{}",
      to_string(chosen.configuration), chosen.excess.value, chosen.excess.low, chosen.excess.high,
      l0_of(chosen));
  if (!std::isnan(chosen.mean_fvu)) reason += fmt::format(", FVU {:.3f}", chosen.mean_fvu);
  if (chosen.configuration != best.configuration)
    reason += fmt::format(". {} has {:.1f}, which is not clearly more ({:.1f} to {:.1f}), with {}",
                          to_string(best.configuration), best.excess.value, chosen.behind.low,
                          chosen.behind.high, l0_of(best));
  if (best.excess.low <= 0) reason += ". Even the first is not clearly beyond chance";
  return reason + ".";
}

}  // namespace

std::string to_string(const Configuration& configuration) {
  return (configuration.transcoder ? "transcoder " : "") +
         short_name({.site = {},
                     .output_site = {},
                     .architecture = configuration.architecture,
                     .k = configuration.k,
                     .n_features = configuration.n_features,
                     .seed = 0,
                     .path = {}}) +
         (configuration.run.empty() ? "" : " of " + configuration.run);
}

Recommendation recommend(const std::vector<SaeSelection>& saes) {
  SAFESAIL_CHECK(!saes.empty());
  const std::map<Configuration, Members> groups = group(saes);
  Recommendation recommendation;
  for (const bool transcoder : {false, true}) {
    std::size_t most_sites = 0;
    for (const auto& [configuration, members] : groups)
      if (configuration.transcoder == transcoder) most_sites = std::max(most_sites, members.size());
    std::vector<Contender> contenders;
    for (const auto& [configuration, members] : groups) {
      if (configuration.transcoder != transcoder) continue;
      // What is missing at some sites (stopped in training) cannot be compared.
      if (members.size() < most_sites)
        recommendation.incomplete.push_back(to_string(configuration));
      else
        contenders.push_back(contender(configuration, members, saes));
    }
    const std::vector<Ranked> ranking = rank(std::move(contenders));
    if (recommendation.ranking.empty() && !ranking.empty()) {
      recommendation.chosen = choose(ranking);
      recommendation.reason = reason_for(ranking[recommendation.chosen], ranking.front());
    }
    recommendation.ranking.insert(recommendation.ranking.end(), ranking.begin(), ranking.end());
  }
  return recommendation;
}

}  // namespace safesail
