#include "text/token_bytes.h"

#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>

namespace safesail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD", kBlank = "\xE2\x96\x81";  // U+2581

/// 0xE4 of "<0xE4>".
std::optional<char> byte_of_fallback(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>')
    return std::nullopt;
  int byte = 0;
  const char* const end = spelling.data() + 5;
  if (std::from_chars(spelling.data() + 3, end, byte, 16).ptr != end) return std::nullopt;
  return static_cast<char>(byte);
}

/// Byte-level vocabularies spell each byte as a letter: those that can be printed as themselves,
/// the others in order from U+0100 (bytes_to_unicode() of GPT-2). Nothing for what is no letter of
/// theirs.
std::optional<std::string> bytes_of_letters(std::string_view spelling) {
  static const auto bytes = [] {
    std::array<int, 0x144> table{};
    table.fill(-1);
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool prints =
          (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      table[static_cast<std::size_t>(prints ? byte : next++)] = byte;
    }
    return table;
  }();
  std::string all;
  for (std::size_t i = 0; i < spelling.size(); ++i) {
    auto letter = static_cast<std::size_t>(static_cast<unsigned char>(spelling[i]));
    if (letter >= 0x80) {
      if (letter >= 0xE0 || i + 1 == spelling.size()) return std::nullopt;
      letter = (letter & 0x1F) << 6 | (static_cast<unsigned char>(spelling[++i]) & 0x3FU);
    }
    if (letter >= bytes.size() || bytes[letter] < 0) return std::nullopt;
    all += static_cast<char>(bytes[letter]);
  }
  return all;
}

}  // namespace

std::string token_bytes(const Tokenizer& tokenizer, std::int32_t id) {
  const std::string spelling = tokenizer.token(id);
  if (tokenizer.is_special(id)) return spelling;
  const std::int32_t one[] = {id};
  std::string text = tokenizer.decode(one, false);
  if (text.find(kReplacement) == text.npos)
    return spelling.starts_with(kBlank) && !text.starts_with(' ') ? ' ' + text : text;
  if (const auto byte = byte_of_fallback(spelling)) return {*byte};
  return bytes_of_letters(spelling).value_or(text);
}

}  // namespace safesail
