// UTF-8 as the Unicode standard defines it (no overlong forms, no surrogates, nothing above
// U+10FFFF), and texts from outside made fit for a terminal.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

namespace safesail {

bool is_utf8(std::string_view text);

/// Bytes of the character that `text` begins with; 0 where it begins with none, or is empty.
std::size_t utf8_length(std::string_view text);

/// `text` as a terminal may show it: what is not UTF-8 becomes U+FFFD, and control characters (also
/// those above ASCII) and the marks that turn the direction of writing become blanks. Line ends and
/// tabs stay.
std::string terminal_text(std::string_view text);

/// The same on one line, cut behind `max_characters`.
std::string terminal_line(std::string_view text,
                          std::size_t max_characters = std::numeric_limits<std::size_t>::max());

}  // namespace safesail
