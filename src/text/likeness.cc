#include "text/likeness.h"

#include <algorithm>
#include <string>

#include "base/hash.h"
#include "base/rng.h"

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
  const std::string_view view = letters;
  const auto next = [&](std::size_t i) {
    do ++i;
    while (i < view.size() && !begins_character(view[i]));
    return i;
  };
  std::size_t begin = 0, end = 0;
  for (std::size_t n = 0; n < kShingle && end < view.size(); ++n) end = next(end);
  std::uint64_t smallest = hash64(view.substr(0, end));
  while (end < view.size()) {
    begin = next(begin);
    end = next(end);
    smallest = std::min(smallest, hash64(view.substr(begin, end - begin)));
  }
  return smallest;
}

double likeness_draw(std::uint64_t key, std::string_view purpose) {
  // Not the key itself: of many hashes the smallest, it is no uniform number.
  return Rng(key, purpose).uniform();
}

}  // namespace safesail
