// Several traces beside one another: the same question in several languages, or about several
// things. Features are aligned by identity. It tells where activations differ, not why: a
// difference is no proof that the feature decides the answer.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "diagnose/trace.h"

namespace safesail {

/// A feature that is active in at least one of the traces.
struct ComparedFeature {
  TraceFeature feature;
  /// [n_traces] its largest normalised activation (0 where it is silent) and the position of that
  /// token (-1). A feature without a known quantile is left out.
  std::vector<double> max;
  std::vector<std::int32_t> position;

  /// Largest less smallest maximum.
  double spread() const;
};

/// What the features of one domain at one layer do.
struct DomainAtLayer {
  std::string domain;
  int layer = 0;
  std::vector<double> max;  ///< [n_traces] largest normalised activation
  /// [n_traces] mean over tokens of the sum over the domain's features of their normalised
  /// activation.
  std::vector<double> mean;
};

struct Comparison {
  std::vector<ComparedFeature> features;  ///< by falling spread
  std::vector<DomainAtLayer> domains;     ///< by domain, then layer
};

/// Special tokens do not count.
Comparison compare_traces(std::span<const Trace> traces);

}  // namespace safesail
