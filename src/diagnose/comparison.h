// Several traces beside one another: the same question in several languages, or about several
// things. Features are aligned by identity. It tells where activations differ, not why: a
// difference is no proof that the feature decides the answer.
//
// Question and answer are compared apart, and of the question only what was asked: the template and
// the system prompt are the same in all traces and tell nothing. A language may need three times
// the tokens of another for the same words, and the largest of more numbers is larger; so the
// maximum is also given as expected of equally many tokens.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "diagnose/trace.h"

namespace safesail {

enum class TracePart : std::uint8_t {
  question,  ///< the text, or the messages but for the system's, without template
  answer,    ///< what the model made
};

/// A feature that is active in at least one of the traces.
struct ComparedFeature {
  TraceFeature feature;
  /// [n_traces] its largest normalised activation (0 where it is silent, kUnknown where no token
  /// counts) and the position of that token (-1). A feature without a known quantile is left out.
  std::vector<double> max;
  std::vector<std::int32_t> position;
  /// [n_traces] expected_maximum() of its normalised activation.
  std::vector<double> expected;

  /// Largest less smallest expected maximum.
  double spread() const;
};

/// What the features of one domain at one layer do.
struct DomainAtLayer {
  std::string domain;
  int layer = 0;
  std::vector<double> max;       ///< [n_traces] largest normalised activation
  std::vector<double> expected;  ///< [n_traces] expected_maximum() of a token's largest
  /// [n_traces] mean over tokens of the sum over the domain's features of their normalised
  /// activation.
  std::vector<double> mean;
};

struct Comparison {
  std::vector<std::int64_t> n_tokens;     ///< [n_traces] that count
  std::int64_t n_drawn = 0;               ///< the fewest of them, but for traces that have none
  std::vector<ComparedFeature> features;  ///< by falling spread
  std::vector<DomainAtLayer> domains;     ///< by domain, then layer
};

/// The mean of the largest value over all ways to take `n_drawn` of `n` tokens, where `values` are
/// those that are not 0. kUnknown for n = 0; `n_drawn` is at least 1 and at most n otherwise.
double expected_maximum(std::vector<double> values, std::int64_t n, std::int64_t n_drawn);

/// Special tokens do not count.
Comparison compare_traces(std::span<const Trace> traces, TracePart part);

}  // namespace safesail
