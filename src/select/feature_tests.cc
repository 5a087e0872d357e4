#include "select/feature_tests.h"

#include <algorithm>
#include <unordered_map>

#include "select/firing_pairs.h"
#include "select/significance.h"

namespace safesail {
namespace {

/// All features that are discordant in a pair, by index, with their counts.
std::vector<FeatureContrast> contrasts(const PairFiring& firing, const Concept& concept_) {
  std::unordered_map<std::int32_t, FeatureContrast> all;
  for (const std::size_t pair : concept_.pairs)
    for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
      if ((a > 0) == (b > 0)) return;
      FeatureContrast& contrast = all[feature];
      ++(a > 0 ? contrast.n_forward : contrast.n_reverse);
    });
  std::vector<FeatureContrast> result;
  for (auto& [feature, contrast] : all) {
    contrast.feature = feature;
    result.push_back(contrast);
  }
  std::ranges::sort(result, {}, &FeatureContrast::feature);
  return result;
}

void add_effects(const PairFiring& firing, const Concept& concept_,
                 std::vector<FeatureContrast>& tested) {
  struct Sum {
    double difference = 0;
    float largest = 0;
  };
  std::unordered_map<std::int32_t, Sum> sums;
  for (const FeatureContrast& contrast : tested) sums[contrast.feature] = {};
  for (const std::size_t pair : concept_.pairs)
    for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
      if (const auto found = sums.find(feature); found != sums.end()) {
        found->second.difference += static_cast<double>(a) - static_cast<double>(b);
        found->second.largest = std::max({found->second.largest, a, b});
      }
    });
  for (FeatureContrast& contrast : tested) {
    const Sum& sum = sums[contrast.feature];
    contrast.effect = sum.difference / static_cast<double>(concept_.pairs.size()) /
                      static_cast<double>(sum.largest);
  }
}

}  // namespace

std::vector<FiringCounts> count_firing(const PairFiring& firing,
                                       const std::vector<Concept>& concepts) {
  const auto n = static_cast<std::size_t>(firing.n_features());
  std::vector<FiringCounts> counts;
  for (const Concept& concept_ : concepts) {
    FiringCounts& own = counts.emplace_back(
        FiringCounts{std::vector<std::int32_t>(n), std::vector<std::int32_t>(n)});
    for (const std::size_t pair : concept_.pairs)
      for_each_firing(firing, pair, [&](std::int32_t feature, float a, float b) {
        const auto f = static_cast<std::size_t>(feature);
        own.firing[f] += a > 0;
        own.forward[f] += a > 0 && b == 0;
      });
  }
  return counts;
}

std::vector<FeatureContrast> test_features(const PairFiring& firing,
                                           const std::vector<Concept>& concepts, std::size_t i,
                                           const std::vector<FiringCounts>& counts,
                                           const TestConfig& config) {
  const auto n_pairs = [&](std::size_t c) {
    return static_cast<std::int64_t>(concepts[c].pairs.size());
  };
  const std::vector<std::size_t> rivals = rivals_of(concepts, i);
  std::vector<FeatureContrast> tested = contrasts(firing, concepts[i]);
  std::erase_if(tested, [&](const FeatureContrast& contrast) {
    return contrast.n_forward + contrast.n_reverse < config.min_discordant;
  });
  for (FeatureContrast& contrast : tested) {
    const auto f = static_cast<std::size_t>(contrast.feature);
    contrast.n_firing = counts[i].firing[f];
    contrast.p_contrast = sign_test(contrast.n_forward, contrast.n_reverse);
    for (const std::size_t rival : rivals) {
      const std::int64_t forward = counts[rival].forward[f], fires = counts[rival].firing[f];
      const bool is_more = contrast.n_firing * n_pairs(rival) > fires * n_pairs(i);
      const double p =
          is_more ? fisher_test(contrast.n_forward, n_pairs(i), forward, n_pairs(rival)) : 1.0;
      if (contrast.rival >= 0 && p <= contrast.p_specific) continue;
      contrast.rival = static_cast<std::int32_t>(rival);
      contrast.rival_forward = forward;
      contrast.rival_firing = fires;
      contrast.p_specific = p;
    }
    contrast.p = contrast.p_specific <= config.false_discovery_rate ? contrast.p_contrast : 1;
  }
  add_effects(firing, concepts[i], tested);
  return tested;
}

void control_false_discoveries(std::span<SaeTests> saes) {
  std::vector<FeatureContrast*> all;
  std::vector<double> p;
  std::vector<std::size_t> family;
  std::size_t n_families = 0;
  for (SaeTests& sae : saes) {
    std::unordered_map<std::int32_t, std::size_t> known;
    for (std::vector<FeatureContrast>& concept_ : sae)
      for (FeatureContrast& contrast : concept_) {
        const auto [found, is_new] = known.emplace(contrast.feature, n_families);
        n_families += is_new;
        all.push_back(&contrast);
        p.push_back(contrast.p);
        family.push_back(found->second);
      }
  }
  const std::vector<double> q = two_level_q(p, family, n_families);
  for (std::size_t i = 0; i < all.size(); ++i) all[i]->q = q[i];
}

}  // namespace safesail
