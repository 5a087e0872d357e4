#include "select/replication.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"

namespace safesail {
namespace {

/// A text: what the feature reaches in it, and the pair it is of.
struct Reached {
  float max = 0;
  std::size_t pair = 0;
  bool is_positive = false;
};

PairFiring::Firing in_text(std::span<const PairFiring::Firing> fires, std::int32_t feature) {
  const auto found = std::ranges::lower_bound(fires, feature, {}, &PairFiring::Firing::feature);
  return found != fires.end() && found->feature == feature ? *found : PairFiring::Firing{};
}

/// The word at which the maxima in the texts with the concept add up to most; -1: it never fires.
std::int64_t top_word(const PairFiring& firing, std::int32_t feature,
                      std::span<const std::size_t> pairs) {
  std::map<std::uint32_t, double> sums;
  for (const std::size_t pair : pairs)
    if (const auto with = in_text(firing.with_concept(pair), feature); with.max > 0)
      sums[with.word] += static_cast<double>(with.max);
  const auto most = std::ranges::max_element(sums, {}, [](const auto& sum) { return sum.second; });
  return most == sums.end() ? -1 : static_cast<std::int64_t>(most->first);
}

/// AUROC with weights: of all pairs of a positive and a negative text, the share in which the
/// positive reaches more, equals by half. `texts` by rising max. NaN without either side.
template <class Weight>
double auroc(const std::vector<Reached>& texts, const Weight& weight) {
  double below = 0, all_positive = 0, all_negative = 0, won = 0;
  for (std::size_t i = 0; i < texts.size();) {
    double positive = 0, negative = 0;  // of those that are equal
    for (const float max = texts[i].max; i < texts.size() && texts[i].max == max; ++i)
      (texts[i].is_positive ? positive : negative) += weight(texts[i].pair);
    won += positive * (below + negative / 2);
    below += negative;
    all_positive += positive;
    all_negative += negative;
  }
  return won / (all_positive * all_negative);
}

Estimate estimate(std::vector<Reached> texts, const PairResamples& resamples,
                  const DrawnFrom& from) {
  std::ranges::sort(texts, {}, &Reached::max);
  std::vector<double> drawn;
  for (std::size_t r = 0; r < resamples.n(); ++r)
    drawn.push_back(auroc(texts, [&](std::size_t pair) { return resamples.draw(r)[pair]; }));
  return drawn_interval(auroc(texts, [](std::size_t) { return 1.0; }), drawn, from);
}

}  // namespace

Replication replicate(const PairFiring& firing, std::int32_t feature,
                      const std::vector<Concept>& concepts, std::size_t i,
                      const PairResamples& resamples) {
  Replication result;
  const std::int64_t top = top_word(firing, feature, concepts[i].pairs);
  std::vector<Reached> twins, others, without;
  std::vector<std::size_t> left;  // pairs without the top word
  for (const std::size_t pair : concepts[i].pairs) {
    const PairFiring::Firing fires = in_text(firing.with_concept(pair), feature);
    const Reached with{fires.max, pair, true},
        twin{in_text(firing.counterpart(pair), feature).max, pair, false};
    twins.insert(twins.end(), {with, twin});
    others.push_back(with);
    if (fires.max > 0 && fires.word == top) continue;
    without.insert(without.end(), {with, twin});
    left.push_back(pair);
  }
  const std::size_t n_own = others.size();
  for (const std::size_t rival : rivals_of(concepts, i))
    for (const std::size_t pair : concepts[rival].pairs)
      others.push_back({in_text(firing.with_concept(pair), feature).max, pair, false});

  result.n_pairs = concepts[i].pairs.size();
  if (result.n_pairs == 0) return result;
  if (top >= 0) result.top_token = firing.word(static_cast<std::uint32_t>(top));
  result.n_without = left.size();
  result.without = estimate(std::move(without), resamples, resamples.drawn_from(left));
  // The rivals are many and drawn, too; the concept's own few decide the degrees of freedom.
  const DrawnFrom from = resamples.drawn_from(concepts[i].pairs);
  result.twins = estimate(std::move(twins), resamples, from);
  result.others = others.size() > n_own
                      ? estimate(std::move(others), resamples, from)
                      : Estimate{.value = std::numeric_limits<double>::quiet_NaN()};
  return result;
}

Estimate wilson(std::size_t n_hits, std::size_t n) {
  SAFESAIL_CHECK(n_hits <= n);
  if (n == 0) return {.value = std::numeric_limits<double>::quiet_NaN()};
  constexpr double z = 1.959963984540054;
  const auto size = static_cast<double>(n);
  const double share = static_cast<double>(n_hits) / size, factor = 1 / (1 + z * z / size);
  const double middle = factor * (share + z * z / (2 * size));
  const double half =
      factor * z * std::sqrt(share * (1 - share) / size + z * z / (4 * size * size));
  return {
      .value = share, .low = std::max(0.0, middle - half), .high = std::min(1.0, middle + half)};
}

Precision& Precision::operator+=(const Precision& other) {
  n_accepted += other.n_accepted;
  n_replicated += other.n_replicated;
  n_specific += other.n_specific;
  return *this;
}

Estimate Precision::replicated() const {
  return wilson(n_replicated, n_accepted);
}

Estimate Precision::specific() const {
  return wilson(n_specific, n_accepted);
}

}  // namespace safesail
