#include "interpret/lexical_cues.h"

#include <algorithm>
#include <memory>
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, kCueKinds> kKindNames = {"word",      "pair",   "after",
                                                                "beginning", "ending", "trait"};
constexpr std::array<std::string_view, 119> kFunctionWords = {
    "a",          "about",        "activates", "activation", "after",    "against",   "all",
    "also",       "an",           "and",       "any",        "are",      "as",        "at",
    "be",         "been",         "before",    "between",    "both",     "but",       "by",
    "can",        "concept",      "concepts",  "context",    "contexts", "different", "during",
    "especially", "etc",          "example",   "feature",    "fires",    "for",       "from",
    "has",        "have",         "he",        "her",        "his",      "how",       "i",
    "if",         "in",           "including", "into",       "is",       "it",        "its",
    "language",   "like",         "many",      "may",        "mentions", "more",      "most",
    "mostly",     "neuron",       "no",        "not",        "occurs",   "of",        "often",
    "on",         "one",          "only",      "or",         "other",    "our",       "out",
    "over",       "particularly", "passages",  "phrase",     "phrases",  "promotes",  "references",
    "related",    "sentence",     "sentences", "she",        "so",       "some",      "such",
    "terms",      "text",         "texts",     "than",       "that",     "the",       "their",
    "them",       "then",         "there",     "these",      "they",     "this",      "those",
    "through",    "to",           "token",     "tokens",     "under",    "up",        "various",
    "very",       "was",          "we",        "were",       "what",     "when",      "where",
    "which",      "who",          "with",      "word",       "words",    "you",       "your"};
static_assert(std::ranges::is_sorted(kFunctionWords));

constexpr std::size_t kLongWord = 5, kPieceOfWord = 3;  // letters

/// Byte offsets at which characters of valid UTF-8 begin, and its size.
std::vector<std::size_t> character_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (!U8_IS_TRAIL(static_cast<std::uint8_t>(text[i]))) starts.push_back(i);
  starts.push_back(text.size());
  return starts;
}

std::string_view trait_of(const Piece& piece, std::string_view written, std::string_view folded) {
  if (!piece.is_word) return "mark";
  if (written.front() >= '0' && written.front() <= '9') return "number";
  return written == folded ? "word" : "capital";
}

}  // namespace

std::string_view to_string(CueKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

bool is_function_word(std::string_view folded) {
  return std::ranges::binary_search(kFunctionWords, folded);
}

std::string fold_case(std::string_view text) {
  struct Close {
    void operator()(UCaseMap* map) const { ucasemap_close(map); }
  };
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UCaseMap, Close> map(ucasemap_open("", 0, &status));
  // No character folds to more than three times its bytes: Unicode Standard, section 5.18.
  std::string folded(3 * text.size(), '\0');
  const std::int32_t n_bytes =
      ucasemap_utf8FoldCase(map.get(), folded.data(), static_cast<std::int32_t>(folded.size()),
                            text.data(), static_cast<std::int32_t>(text.size()), &status);
  SAFESAIL_CHECK(U_SUCCESS(status));
  folded.resize(static_cast<std::size_t>(n_bytes));
  return folded;
}

std::vector<CuedPiece> cued_pieces(std::string_view text) {
  std::vector<CuedPiece> cued;
  std::string before;
  for (const Piece& piece : split_pieces(text)) {
    const std::string_view written =
        text.substr(piece.range.begin, piece.range.end - piece.range.begin);
    std::string word = fold_case(written);
    CuedPiece& next = cued.emplace_back();
    next.range = piece.range;
    next.is_word = piece.is_word;
    next.cues.push_back({CueKind::word, word});
    if (!before.empty()) {
      next.cues.push_back({CueKind::pair, before + ' ' + word});
      next.cues.push_back({CueKind::after, before});
    }
    const std::vector<std::size_t> starts = character_starts(word);
    if (const std::size_t n = starts.size() - 1; piece.is_word && n >= kLongWord) {
      next.cues.push_back({CueKind::beginning, word.substr(0, starts[kPieceOfWord])});
      next.cues.push_back({CueKind::ending, word.substr(starts[n - kPieceOfWord])});
    }
    next.cues.push_back({CueKind::trait, std::string(trait_of(piece, written, word))});
    if (cued.size() == 1) next.cues.push_back({CueKind::trait, "first"});
    before = std::move(word);
  }
  return cued;
}

}  // namespace safesail
