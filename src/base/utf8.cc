#include "base/utf8.h"

#include <cstdint>

namespace safesail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::uint32_t code_of(std::string_view character) {
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(character[at]); };
  if (character.size() == 1) return byte(0);
  std::uint32_t code = byte(0) & (0x7Fu >> character.size());
  for (std::size_t k = 1; k < character.size(); ++k) code = code << 6 | (byte(k) & 0x3F);
  return code;
}

/// What moves the cursor, hides or turns text: C0, DEL, C1, line and paragraph separators,
/// embeddings and isolates.
bool is_obeyed(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length > text.size()) return 0;
  for (std::size_t k = 1; k < length; ++k)
    if ((byte(k) & 0xC0) != 0x80) return 0;
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const std::uint32_t code = code_of(text.substr(0, length));
  const bool valid =
      code >= kSmallest[length] && code <= 0x10FFFF && !(code >= 0xD800 && code < 0xE000);
  return valid ? length : 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string terminal_text(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, length);
    if (length == 0)
      shown += kReplacement;
    else if (character == "\n" || character == "\t" || !is_obeyed(code_of(character)))
      shown += character;
    else
      shown += ' ';
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return shown;
}

std::string terminal_line(std::string_view text, std::size_t max_characters) {
  std::string line = terminal_text(text);
  std::size_t n_characters = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '\n' || line[at] == '\t') line[at] = ' ';
    if ((static_cast<std::uint8_t>(line[at]) & 0xC0) == 0x80) continue;
    if (n_characters++ == max_characters) return line.substr(0, at) + "...";
  }
  return line;
}

}  // namespace safesail
