#include "atlas/search_text.h"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <vector>

#include "base/error.h"

namespace safesail {
namespace {

/// What goes beyond it is not indexed: no explanation is as long.
constexpr std::size_t kMaxIndexedBytes = std::size_t{1} << 20;
constexpr UChar32 kReplacement = 0xFFFD;  ///< what invalid bytes become

icu::UnicodeString unicode_of(std::string_view text) {
  return icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
}

bool stands_alone(UChar32 c) {
  UErrorCode status = U_ZERO_ERROR;
  switch (uscript_getScript(c, &status)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_HANGUL:
    case USCRIPT_BOPOMOFO:
    case USCRIPT_YI:
      return true;
    default:
      return false;
  }
}

/// Thai, Lao, Khmer, Burmese...: written without spaces, with marks on their letters.
bool is_complex(UChar32 c) {
  return u_getIntPropertyValue(c, UCHAR_LINE_BREAK) == U_LB_COMPLEX_CONTEXT;
}

/// Accents of Latin, Greek and Cyrillic letters, and what is put around a character.
bool is_accent(UChar32 c) {
  return (c >= 0x0300 && c <= 0x036F) || (c >= 0x20D0 && c <= 0x20FF);
}

bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

/// Is there anything in `text` that the tokenizer keeps?
bool has_token(std::string_view text) {
  const icu::UnicodeString unicode = unicode_of(text);
  constexpr std::uint32_t kKept = U_GC_L_MASK | U_GC_N_MASK | U_GC_CO_MASK | U_GC_M_MASK;
  for (int i = 0; i < unicode.length(); i = unicode.moveIndex32(i, 1))
    if ((U_GET_GC_MASK(unicode.char32At(i)) & kKept) != 0) return true;
  return false;
}

struct Term {
  std::string text;
  bool is_prefix = false;
};

std::vector<Term> split(std::string_view typed) {
  std::vector<Term> terms;
  std::size_t i = 0;
  while (i < typed.size()) {
    if (typed[i] == ' ' || typed[i] == '\t' || typed[i] == '\n' || typed[i] == '\r') {
      ++i;
      continue;
    }
    const bool quoted = typed[i] == '"';
    const std::size_t begin = i + (quoted ? 1 : 0);
    const std::size_t end =
        std::min(typed.size(), typed.find_first_of(quoted ? "\"" : " \t\n\r\"", begin));
    i = std::min(typed.size(), end + (quoted ? 1 : 0));
    std::string_view text = typed.substr(begin, end - begin);
    bool is_prefix = false;
    if (!quoted && text.ends_with('*')) {
      text.remove_suffix(1);
      is_prefix = true;
    }
    terms.push_back({search_text(text), is_prefix});
  }
  return terms;
}

/// Letters as they are without their accents, composed again.
icu::UnicodeString without_accents(const icu::UnicodeString& text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* decomposing = icu::Normalizer2::getNFDInstance(status);
  const icu::Normalizer2* composing = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) failed("search", "ICU has no normalisation data", "reinstall libicu");
  const icu::UnicodeString decomposed = decomposing->normalize(text, status);
  icu::UnicodeString kept;
  for (int i = 0; i < decomposed.length(); i = decomposed.moveIndex32(i, 1))
    if (const UChar32 c = decomposed.char32At(i); !is_accent(c)) kept.append(c);
  icu::UnicodeString result = composing->normalize(kept, status);
  if (U_FAILURE(status)) failed("search", u_errorName(status), "shorten the text");
  return result;
}

}  // namespace

std::string search_text(std::string_view text) {
  text = text.substr(0, kMaxIndexedBytes);
  if (is_ascii(text)) return lower_ascii(text);
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* folding = icu::Normalizer2::getNFKCCasefoldInstance(status);
  if (U_FAILURE(status)) failed("search", "ICU has no normalisation data", "reinstall libicu");
  const icu::UnicodeString folded = without_accents(folding->normalize(unicode_of(text), status));
  icu::UnicodeString spaced;
  bool after_complex = false;
  for (int i = 0; i < folded.length(); i = folded.moveIndex32(i, 1)) {
    const UChar32 c = folded.char32At(i);
    const std::uint32_t category = U_GET_GC_MASK(c);
    const bool is_mark = (category & U_GC_M_MASK) != 0;
    const bool complex = is_complex(c);
    if (stands_alone(c))
      spaced.append(u' ').append(c).append(u' ');
    else if (c >= 0x80 && c != kReplacement && (category & U_GC_S_MASK) != 0)
      spaced.append(icu::UnicodeString::fromUTF8(fmt::format(" symbol{:x} ", c)));
    else if (!is_mark && (complex || after_complex))
      spaced.append(u' ').append(c);
    else
      spaced.append(c);
    if (!is_mark) after_complex = complex;
  }
  std::string result;
  return spaced.toUTF8String(result);
}

std::string search_query(std::string_view typed) {
  std::string query;
  for (Term& term : split(typed)) {
    if (!has_token(term.text)) continue;
    for (char& c : term.text)
      if (c == '"' || c == '\0') c = ' ';
    query +=
        fmt::format("{}\"{}\"{}", query.empty() ? "" : " ", term.text, term.is_prefix ? " *" : "");
  }
  return query;
}

}  // namespace safesail
