#include "diagnose/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"

namespace safesail {
namespace {

bool counts(const TraceToken& token, TracePart part) {
  if (token.is_special) return false;
  if (part == TracePart::answer) return token.is_response;
  return !token.is_response && token.role != "template" && token.role != "system";
}

/// Normalised activations on the tokens of a trace; those that are not 0.
using Values = std::vector<double>;

struct FeatureValues {
  TraceFeature feature;
  std::vector<Values> values;  ///< [n_traces]
  std::vector<double> max;
  std::vector<std::int32_t> position;
};

struct DomainValues {
  std::vector<Values> largest;  ///< [n_traces] of each token
  std::vector<double> sums;     ///< [n_traces] over all tokens
};

/// Counts all traces, and then knows how many tokens to draw.
class Collector {
 public:
  Collector(std::span<const Trace> traces, TracePart part) : n_(traces.size()) {
    for (std::size_t i = 0; i < n_; ++i) {
      std::int64_t& n_tokens = comparison_.n_tokens.emplace_back(0);
      for (const TraceToken& token : traces[i].tokens) {
        if (!counts(token, part)) continue;
        ++n_tokens;
        add(i, traces[i], token);
      }
      std::int64_t& n_drawn = comparison_.n_drawn;
      if (n_tokens > 0) n_drawn = n_drawn == 0 ? n_tokens : std::min(n_drawn, n_tokens);
    }
  }

  Comparison finish() {
    for (auto& [identity, one] : features_) {
      std::vector<double> expected;
      for (std::size_t i = 0; i < n_; ++i) {
        expected.push_back(expected_of(one.values[i], i));
        if (comparison_.n_tokens[i] == 0) one.max[i] = kUnknown;
      }
      comparison_.features.push_back(
          {one.feature, std::move(one.max), std::move(one.position), std::move(expected)});
    }
    // SAEs lie in one vector, so that the order of their addresses is that of the subject.
    std::ranges::stable_sort(comparison_.features, std::greater{}, &ComparedFeature::spread);
    for (const auto& [key, one] : domains_) comparison_.domains.push_back(domain_of(key, one));
    return std::move(comparison_);
  }

 private:
  void add(std::size_t i, const Trace& trace, const TraceToken& token) {
    std::map<std::pair<std::string, int>, std::pair<double, double>> here;  // largest and sum
    for (const TokenFeature& one : token.features) {
      if (!std::isfinite(one.normalised)) continue;
      const TraceFeature& feature = trace.features[one.feature];
      FeatureValues& values = features_[{feature.sae, feature.index}];
      if (values.values.empty())
        values = {feature, std::vector<Values>(n_), std::vector<double>(n_, 0),
                  std::vector<std::int32_t>(n_, -1)};
      values.values[i].push_back(one.normalised);
      if (one.normalised > values.max[i]) {
        values.max[i] = one.normalised;
        values.position[i] = token.position;
      }
      for (const std::string& domain : feature.known->domains) {
        auto& [largest, sum] = here[{domain, feature.sae->site().layer}];
        largest = std::max(largest, one.normalised);
        sum += one.normalised;
      }
    }
    for (const auto& [key, values] : here) {
      DomainValues& domain = domains_[key];
      if (domain.sums.empty()) domain = {std::vector<Values>(n_), std::vector<double>(n_, 0)};
      domain.largest[i].push_back(values.first);
      domain.sums[i] += values.second;
    }
  }

  double expected_of(const Values& values, std::size_t i) const {
    return expected_maximum(values, comparison_.n_tokens[i], comparison_.n_drawn);
  }

  DomainAtLayer domain_of(const std::pair<std::string, int>& key, const DomainValues& one) const {
    DomainAtLayer at{key.first, key.second, {}, {}, {}};
    for (std::size_t i = 0; i < n_; ++i) {
      const auto n_tokens = static_cast<double>(comparison_.n_tokens[i]);
      double largest = 0;
      for (const double value : one.largest[i]) largest = std::max(largest, value);
      at.max.push_back(n_tokens == 0 ? kUnknown : largest);
      at.expected.push_back(expected_of(one.largest[i], i));
      at.mean.push_back(n_tokens == 0 ? kUnknown : one.sums[i] / n_tokens);
    }
    return at;
  }

  const std::size_t n_;
  Comparison comparison_;
  std::map<std::pair<const KnownSae*, std::int32_t>, FeatureValues> features_;
  std::map<std::pair<std::string, int>, DomainValues> domains_;
};

}  // namespace

double expected_maximum(std::vector<double> values, std::int64_t n, std::int64_t n_drawn) {
  if (n == 0) return kUnknown;
  SAFESAIL_CHECK(n_drawn >= 1 && n_drawn <= n && static_cast<std::int64_t>(values.size()) <= n);
  std::ranges::sort(values, std::greater{});
  // The r-th largest, from 0, is the largest drawn when it is drawn and none above it is: of the
  // n - r tokens that are left then, n_drawn are drawn, this one among them.
  double none_above = 1, mean = 0;
  for (std::size_t r = 0; r < values.size() && none_above > 0; ++r) {
    const double drawn =
        static_cast<double>(n_drawn) / static_cast<double>(n - static_cast<std::int64_t>(r));
    mean += none_above * std::min(1.0, drawn) * values[r];
    none_above *= std::max(0.0, 1 - drawn);
  }
  return mean;
}

double ComparedFeature::spread() const {
  double low = INFINITY, high = -INFINITY;
  for (const double value : expected) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return high > low ? high - low : 0;
}

Comparison compare_traces(std::span<const Trace> traces, TracePart part) {
  return Collector(traces, part).finish();
}

}  // namespace safesail
