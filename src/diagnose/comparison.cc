#include "diagnose/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace safesail {

double ComparedFeature::spread() const {
  const auto [low, high] = std::ranges::minmax_element(max);
  return *high - *low;
}

Comparison compare_traces(std::span<const Trace> traces) {
  const std::size_t n = traces.size();
  std::map<std::pair<const KnownSae*, std::int32_t>, ComparedFeature> by_identity;
  std::map<std::pair<std::string, int>, DomainAtLayer> by_domain;
  for (std::size_t i = 0; i < n; ++i) {
    const Trace& trace = traces[i];
    const auto n_tokens =
        static_cast<double>(std::ranges::count(trace.tokens, false, &TraceToken::is_special));
    for (const TraceToken& token : trace.tokens) {
      if (token.is_special) continue;
      for (const TokenFeature& one : token.features) {
        if (!std::isfinite(one.normalised)) continue;
        const TraceFeature& feature = trace.features[one.feature];
        ComparedFeature& compared = by_identity[{feature.sae, feature.index}];
        if (compared.max.empty())
          compared = {feature, std::vector<double>(n, 0), std::vector<std::int32_t>(n, -1)};
        if (one.normalised > compared.max[i]) {
          compared.max[i] = one.normalised;
          compared.position[i] = token.position;
        }
        for (const std::string& domain : feature.known->domains) {
          const int layer = feature.sae->site().layer;
          DomainAtLayer& at = by_domain[{domain, layer}];
          if (at.max.empty())
            at = {domain, layer, std::vector<double>(n, 0), std::vector<double>(n, 0)};
          at.max[i] = std::max(at.max[i], one.normalised);
          at.mean[i] += one.normalised / n_tokens;
        }
      }
    }
  }
  Comparison comparison;
  for (auto& [identity, feature] : by_identity) comparison.features.push_back(std::move(feature));
  // SAEs lie in one vector, so that the order of their addresses is that of the subject.
  std::ranges::stable_sort(comparison.features, std::greater{}, &ComparedFeature::spread);
  for (auto& [key, domain] : by_domain) comparison.domains.push_back(std::move(domain));
  return comparison;
}

}  // namespace safesail
