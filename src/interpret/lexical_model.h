// The lexicon: how much each cue (lexical_cues.h) adds to the level that is expected of a word, and
// to the probability that the feature is active on it (level >= 1).
//
//   expected(word) = bias + sum of the effects of its cues, cut to [0, 10] and [0, 1]
//
// Fitted by ridge regression, so that cues share what they explain: an effect is the mean of what
// the others leave over, shrunk towards zero by a number of documents that differs by kind. A
// document counts once for a cue, however often the cue occurs in it; thus no effect rests on one
// document's quirks.
//
// As text it is JSON: {"bias": [level, active], "word": {"attack": [level, active], ...}, "pair":
// {...}, ...}, small effects left out.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "harvest/exemplars.h"
#include "interpret/lexical_cues.h"

namespace safesail {

struct Expected {
  float level = 0;   ///< 0..10
  float active = 0;  ///< probability
};

struct Lexicon {
  Expected bias;
  std::map<Cue, Expected> effects;

  Expected expected(const CuedPiece& piece) const;
};

/// From windows for explaining alone: another use is a bug of the caller.
Lexicon fit_lexicon(std::span<const Exemplar* const> exemplars, float quantile);

std::string to_json(const Lexicon& lexicon);
/// An input error where `text` is not what to_json writes.
Lexicon parse_lexicon(std::string_view text);

}  // namespace safesail
