// From the values of sites to the features that a trace tells of. One reader a trace: it keeps the
// list of features and gives each its place when it first occurs. What is known of them is what was
// known when it was made, so that a trace does not change its mind.
//
// One thread; the subject must outlive it.
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "diagnose/trace.h"

namespace safesail {

/// Each site that the subject's SAEs read, once.
std::vector<Site> sites_of(const Subject& subject);

class FeatureReader {
 public:
  FeatureReader(const Subject& subject, TraceOptions options);

  /// x[i] [n_tokens, d_model] of sites_of(subject)[i], on any device; gives the features of each
  /// token. Values are encoded in f32, so that they do not depend on how tokens are batched.
  std::vector<std::vector<TokenFeature>> read(std::span<const at::Tensor> x);

  const std::vector<TraceFeature>& features() const { return features_; }

 private:
  bool wants(const KnownFeature* known) const;
  std::uint32_t place_of(std::size_t sae, std::int32_t index, const KnownFeature* known);

  const Subject& subject_;
  const TraceOptions options_;
  const std::vector<Site> sites_;
  std::vector<std::shared_ptr<const KnownFeatures>> known_;  ///< by SAE
  std::vector<TraceFeature> features_;
  std::unordered_map<std::uint64_t, std::uint32_t> places_;  ///< by SAE and index
};

}  // namespace safesail
