// What the lexical baseline sees of a text: for each word or mark the cues that may foretell
// whether a feature fires on it.
//
// Words are compared case-folded. Free functions of any UTF-8 text, safe from several threads.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "interpret/segment.h"

namespace safesail {

enum class CueKind {
  word,       ///< the word or mark itself: "attack"
  pair,       ///< with what stands before it: "the attack"
  after,      ///< what stands before it, whatever it is itself: "the"
  beginning,  ///< first three letters of a word of five or more: stands in for stems and for tokens
              ///< that are pieces of words
  ending,     ///< last three letters: "ing"
  trait       ///< one of kTraits
};
inline constexpr std::size_t kCueKinds = 6;
std::string_view to_string(CueKind kind);

/// "first" comes beside one of the others: the first word or mark of the text.
inline constexpr std::array<std::string_view, 5> kTraits = {"word", "capital", "number", "mark",
                                                            "first"};

struct Cue {
  CueKind kind = CueKind::word;
  std::string text;

  auto operator<=>(const Cue&) const = default;
};

struct CuedPiece {
  TextRange range;
  std::vector<Cue> cues;  ///< its word first, each kind at most once but for traits
  bool is_word = false;
};
std::vector<CuedPiece> cued_pieces(std::string_view text);

/// Unicode's full case folding; malformed bytes stay as they are.
std::string fold_case(std::string_view text);

/// English words that say little by themselves, and those in which explanations speak of features
/// ("fires", "token").
bool is_function_word(std::string_view folded);

}  // namespace safesail
