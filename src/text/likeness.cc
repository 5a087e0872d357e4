#include "text/likeness.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"

namespace safesail {
namespace {

/// About six words of English: longer than set phrases, shorter than what survives an edit.
constexpr std::size_t kShingle = 32;

/// The text's letters and digits, of every script, ASCII ones in lower case.
std::string folded(std::string_view text) {
  std::string letters;
  letters.reserve(text.size());
  for (const char c : text) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_kept = is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                         static_cast<unsigned char>(c) >= 0x80;
    if (is_kept) letters.push_back(is_upper ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return letters;
}

bool begins_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

}  // namespace

std::uint64_t likeness_key(std::string_view text) {
  const std::string letters = folded(text);
  std::vector<std::size_t> starts;  // of the characters, and the end
  for (std::size_t i = 0; i < letters.size(); ++i)
    if (begins_character(letters[i])) starts.push_back(i);
  starts.push_back(letters.size());
  const std::string_view view = letters;
  if (starts.size() <= kShingle + 1) return hash64(view);
  std::uint64_t smallest = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t i = 0; i + kShingle < starts.size(); ++i)
    smallest = std::min(smallest, hash64(view.substr(starts[i], starts[i + kShingle] - starts[i])));
  return smallest;
}

}  // namespace safesail
