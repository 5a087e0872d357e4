// Text as the full-text index sees it, so that one tokenizer serves all scripts.
//
// Unicode NFKC with case folding (so that composed and decomposed letters, full-width forms and
// joiners do not matter), without the accents of Latin, Greek and Cyrillic letters; then every
// character of a script that is written without spaces (Chinese, Japanese, Thai, Khmer) or with
// particles glued to words (Korean) stands alone, between spaces, a Thai letter with its marks. The
// tokenizer cuts at everything but letters, numbers and combining marks, so a word in Devanagari
// stays whole and a Chinese word of any length, also of one or two characters, is a phrase of
// characters. Symbols and emoji, which it would drop, become words of letters and digits.
#pragma once

#include <string>
#include <string_view>

namespace safesail {

/// `text` ready for the index. Invalid UTF-8 becomes U+FFFD.
std::string search_text(std::string_view text);

/// What people type as an FTS5 query: words, of which all must occur, in any order; "in quotes" a
/// phrase; word* a beginning. Nothing typed is an error. Empty when there is nothing to look for.
std::string search_query(std::string_view typed);

}  // namespace safesail
