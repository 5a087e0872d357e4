// The offline simulator: predicts from an explanation's lexicon, word by word.
//
//   segment    the highest probability among its words
//   token      the highest level among the words that it is part of
//   detection  the highest probability in the text
//   fuzzing    the share of pairs, one word that is marked and one that is not, in which the marked
//              one is the more probable (ties half): 1 where the marks are where the lexicon
//              expects them, 0.5 where it cannot tell
//
// Not calibrated: on 300 features a threshold for detection chosen on the calibration windows was
// worth 0.01 of balanced accuracy, and simulators that read prose have none either.
//
// An explanation without a lexicon, as others write them, is read as a list of words: each of its
// words that is not a function word, and its regular English inflections, is expected at
// kNamedLevel, all others not at all. A fair and cheap baseline for prose; it knows no synonyms.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interpret/lexical_model.h"
#include "interpret/simulator.h"

namespace safesail {

inline constexpr float kNamedLevel = 8;

/// The lexicon of an explanation that has none.
Lexicon lexicon_of_prose(std::string_view text);

/// No state. Every question is answered.
class LexicalSimulator final : public Simulator {
 public:
  std::string name() const override { return "lexical"; }
  std::string prompt_hash(Scorer) const override { return {}; }
  /// An input error where the lexicon cannot be read.
  Simulated answer(Scorer scorer, const ExplanationText& explanation,
                   std::span<const Question> questions) override;
};

}  // namespace safesail
