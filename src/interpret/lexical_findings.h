// What the windows for explaining show of a feature, counted: the words it fires on, what such
// words have in common, the words around them. The material of the lexical sentence.
//
// A unit of the counts is a word of a document together with the word before it, however often the
// two occur there. A cue counts as found when at least kMinDocuments documents show it and its
// smoothed odds of firing are kMinOddsRatio times those of all units.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "harvest/exemplars.h"
#include "interpret/lexical_cues.h"

namespace safesail {

inline constexpr std::size_t kMinDocuments = 2;
inline constexpr double kMinOddsRatio = 3;

struct LexicalFindings {
  struct Word {
    std::string text;   ///< as written where it fired most strongly
    std::string after;  ///< the word that has to stand before it; else empty
    double share = 0;   ///< of the activation (levels) of all units
  };
  std::vector<Word> words;  ///< falling by share; no numbers where it fires on numbers as such
  double share = 0;         ///< of all of them
  double precision = 0;     ///< share of their units that fire

  /// What other words it fires on have in common: those that end in -ing or -ion; that stand after
  /// "the". Texts as in the cues.
  struct Group {
    CueKind kind = CueKind::trait;
    std::vector<std::string> texts;
    double share = 0, share_beyond = 0;  ///< of all activation; without the units of `words`
  };
  std::vector<Group> groups;  ///< falling by share

  std::vector<std::string> strongest;  ///< words where it fired most strongly, one a document
  std::vector<std::string>
      company;                  ///< words of the texts in which it fires, not those it fires on
  std::size_t n_documents = 0;  ///< in which it fires
};

/// From windows for explaining alone: another use is a bug of the caller.
LexicalFindings find_words(std::span<const Exemplar* const> exemplars, float quantile);

}  // namespace safesail
