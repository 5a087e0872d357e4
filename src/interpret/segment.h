// Words and segments: what a text is cut into before a simulator judges it.
//
// A segment is a maximal run of whole words, at most `max_words`, that does not cross the end of a
// sentence or of a line. Words are ICU's (Unicode UAX 29; dictionaries for Chinese, Japanese, Thai,
// Khmer, Lao and Burmese), one rule for all scripts; pictographs are words too. Marks belong to the
// word they are written to. Segments come in order, do not overlap, and cover all of the text but
// white space. Free functions of any UTF-8 text below 2 GB, safe from several threads.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "harvest/exemplars.h"
#include "interpret/simulator.h"

namespace safesail {

using TextRange = Question::Range;  ///< bytes [begin, end)

/// A word, a number, a pictograph, or one mark; never white space.
struct Piece {
  TextRange range;
  bool is_word = false;
  bool ends_sentence = false;  ///< . ! ? and their like in all scripts
  bool opens = false;          ///< an opening bracket or quotation mark
  bool after_space = false;
  bool after_line = false;  ///< a line break comes before it
};
std::vector<Piece> split_pieces(std::string_view text);

inline constexpr int kSegmentWords = 4;
std::vector<TextRange> split_segments(std::string_view text, int max_words = kSegmentWords);

/// The part of `range` behind its leading white space; `range` itself where there is nothing else.
TextRange without_leading_space(std::string_view text, TextRange range);

/// The highest activation among the tokens that reach into each range. White space in front of a
/// token's text does not count; a token that is nothing else belongs to the range before it.
/// `ranges` are in order and do not overlap.
std::vector<float> max_activations(const Window& window, std::span<const TextRange> ranges);

}  // namespace safesail
