#include "diagnose/feature_reader.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>

#include "base/error.h"

namespace safesail {
namespace {

/// Falling; unknown values last, among themselves by falling activation.
bool is_stronger(const TokenFeature& a, const TokenFeature& b) {
  const bool known_a = std::isfinite(a.normalised), known_b = std::isfinite(b.normalised);
  if (known_a != known_b) return known_a;
  if (known_a && a.normalised != b.normalised) return a.normalised > b.normalised;
  if (a.activation != b.activation) return a.activation > b.activation;
  return a.feature < b.feature;
}

double normalised(float activation, const KnownFeature* known) {
  if (known == nullptr || !(known->quantile > 0)) return kUnknown;
  return static_cast<double>(activation) / known->quantile;
}

}  // namespace

std::vector<Site> sites_of(const Subject& subject) {
  std::vector<Site> sites;
  for (const KnownSae& sae : subject.saes)
    if (std::ranges::find(sites, sae.site()) == sites.end()) sites.push_back(sae.site());
  return sites;
}

FeatureReader::FeatureReader(const Subject& subject, TraceOptions options)
    : subject_(subject), options_(std::move(options)), sites_(sites_of(subject)) {
  for (const KnownSae& sae : subject_.saes) known_.push_back(sae.known());
}

bool FeatureReader::wants(const KnownFeature* known) const {
  if (known == nullptr) return options_.unlisted;
  if (options_.min_score > -1 && !(known->score >= options_.min_score)) return false;
  return options_.domains.empty() ||
         std::ranges::any_of(known->domains, [&](const std::string& domain) {
           return std::ranges::find(options_.domains, domain) != options_.domains.end();
         });
}

std::uint32_t FeatureReader::place_of(std::size_t sae, std::int32_t index,
                                      const KnownFeature* known) {
  const std::uint64_t key = std::uint64_t{sae} << 32 | static_cast<std::uint32_t>(index);
  const auto [found, is_new] = places_.emplace(key, static_cast<std::uint32_t>(features_.size()));
  if (is_new)
    features_.push_back(
        {&subject_.saes[sae], index,
         known == nullptr ? nullptr : std::shared_ptr<const KnownFeature>(known_[sae], known)});
  return found->second;
}

std::vector<std::vector<TokenFeature>> FeatureReader::read(std::span<const at::Tensor> x) {
  const c10::InferenceMode inference;
  SAFESAIL_CHECK(x.size() == sites_.size() && !x.empty());
  std::vector<std::vector<TokenFeature>> tokens(static_cast<std::size_t>(x.front().size(0)));
  if (tokens.empty()) return tokens;
  for (std::size_t site = 0; site < sites_.size(); ++site) {
    const at::Tensor values = x[site].cpu().contiguous();
    for (std::size_t s = 0; s < subject_.saes.size(); ++s) {
      const KnownSae& sae = subject_.saes[s];
      if (sae.site() != sites_[site]) continue;
      if (!options_.saes.empty() &&
          std::ranges::find(options_.saes, sae.name()) == options_.saes.end())
        continue;
      const SparseCodes codes = sae.sae().encode(values, Selection::f32);
      for (std::size_t t = 0; t < tokens.size(); ++t)
        for (std::int64_t i = codes.offsets[t]; i < codes.offsets[t + 1]; ++i) {
          const auto at = static_cast<std::size_t>(i);
          const KnownFeature* known = known_[s]->find(codes.indices[at]);
          if (wants(known))
            tokens[t].push_back({place_of(s, codes.indices[at], known), codes.values[at],
                                 normalised(codes.values[at], known)});
        }
    }
  }
  for (std::vector<TokenFeature>& features : tokens) {
    std::ranges::sort(features, is_stronger);
    if (options_.top_n > 0 && features.size() > options_.top_n) features.resize(options_.top_n);
  }
  return tokens;
}

}  // namespace safesail
