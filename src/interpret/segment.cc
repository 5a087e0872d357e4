#include "interpret/segment.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include "base/error.h"

namespace safesail {
namespace {

/// Decodes the character at `at`, which is below `end`, and moves behind it. Malformed bytes are
/// characters of their own, negative ones.
UChar32 next_character(std::string_view text, std::uint32_t& at, std::uint32_t end) {
  UChar32 character = 0;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  U8_NEXT(bytes, at, end, character);
  return character;
}

/// ICU's word boundaries of a text, from left to right.
class WordBreaks {
 public:
  explicit WordBreaks(std::string_view text) {
    UErrorCode status = U_ZERO_ERROR;
    text_.reset(
        utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &status));
    breaks_.reset(ubrk_open(UBRK_WORD, "en", nullptr, 0, &status));
    if (U_SUCCESS(status)) ubrk_setUText(breaks_.get(), text_.get(), &status);
    if (U_FAILURE(status))
      failed("word boundaries", u_errorName(status), "install ICU with its data (libicu)");
  }

  /// The end of the next piece, or UBRK_DONE.
  std::int32_t next() { return ubrk_next(breaks_.get()); }
  bool is_word() { return ubrk_getRuleStatus(breaks_.get()) >= UBRK_WORD_NONE_LIMIT; }

 private:
  struct Close {
    void operator()(UText* text) const { utext_close(text); }
    void operator()(UBreakIterator* breaks) const { ubrk_close(breaks); }
  };
  std::unique_ptr<UText, Close> text_;
  std::unique_ptr<UBreakIterator, Close> breaks_;
};

bool is_pictograph(UChar32 character) {
  return u_hasBinaryProperty(character, UCHAR_EXTENDED_PICTOGRAPHIC) ||
         u_hasBinaryProperty(character, UCHAR_REGIONAL_INDICATOR);
}

bool is_opening(UChar32 character) {
  const auto type = u_charType(character);
  return type == U_START_PUNCTUATION || type == U_INITIAL_PUNCTUATION;
}

bool is_line_break(UChar32 character) {
  return (character >= '\n' && character <= '\r') || character == 0x85 || character == 0x2028 ||
         character == 0x2029;
}

}  // namespace

std::vector<Piece> split_pieces(std::string_view text) {
  SAFESAIL_CHECK(text.size() < std::numeric_limits<std::int32_t>::max());
  std::vector<Piece> pieces;
  if (text.empty()) return pieces;
  WordBreaks breaks(text);
  Piece piece;
  for (std::int32_t next = breaks.next(); next != UBRK_DONE; next = breaks.next()) {
    piece.range.end = static_cast<std::uint32_t>(next);
    UChar32 first = 0;
    // A mark written over a space shares its piece with the space.
    while (piece.range.begin < piece.range.end) {
      std::uint32_t behind = piece.range.begin;
      first = next_character(text, behind, piece.range.end);
      if (!u_isUWhiteSpace(first)) break;
      piece.after_space = true;
      piece.after_line |= is_line_break(first);
      piece.range.begin = behind;
    }
    if (piece.range.begin == piece.range.end) continue;
    piece.is_word = breaks.is_word() || is_pictograph(first);
    piece.ends_sentence = !piece.is_word && u_hasBinaryProperty(first, UCHAR_S_TERM);
    piece.opens = is_opening(first);
    pieces.push_back(piece);
    piece = Piece{.range = {.begin = piece.range.end}};
  }
  return pieces;
}

std::vector<TextRange> split_segments(std::string_view text, int max_words) {
  SAFESAIL_CHECK(max_words > 0);
  std::vector<TextRange> segments;
  int n_words = 0;
  bool sentence_ended = false;
  for (const Piece& piece : split_pieces(text)) {
    const bool complete = sentence_ended || n_words == max_words;
    // Closing quotes, brackets and commas stay with what they close.
    const bool starts_anew = piece.is_word || piece.opens || piece.after_space;
    if (segments.empty() || piece.after_line || (complete && starts_anew)) {
      segments.push_back(piece.range);
      n_words = 0;
      sentence_ended = false;
    }
    segments.back().end = piece.range.end;
    n_words += piece.is_word;
    sentence_ended |= piece.ends_sentence;
  }
  return segments;
}

TextRange without_leading_space(std::string_view text, TextRange range) {
  for (std::uint32_t at = range.begin; at < range.end;) {
    const std::uint32_t begin = at;
    if (!u_isUWhiteSpace(next_character(text, at, range.end))) return {begin, range.end};
  }
  return range;
}

std::vector<float> max_activations(const Window& window, std::span<const TextRange> ranges) {
  std::vector<float> highest(ranges.size());
  std::size_t first = 0;  // the first range that ends behind the token's begin
  for (std::size_t t = 0; t < window.n_tokens() && !ranges.empty(); ++t) {
    const TextRange token =
        without_leading_space(window.text, {window.starts[t], window.starts[t + 1]});
    while (first < ranges.size() && ranges[first].end <= token.begin) ++first;
    std::size_t last = first;
    while (last < ranges.size() && ranges[last].begin < token.end) {
      highest[last] = std::max(highest[last], window.activation[t]);
      ++last;
    }
    if (last == first) {
      float& before = highest[first == 0 ? 0 : first - 1];
      before = std::max(before, window.activation[t]);
    }
  }
  return highest;
}

}  // namespace safesail
