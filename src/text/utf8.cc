#include "text/utf8.h"

#include <cstdint>

namespace safesail {

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  while (i < text.size()) {
    const std::uint8_t lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const int n_more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || i + n_more >= text.size()) return false;
    std::uint32_t code = lead & (0x3F >> n_more);
    for (int k = 1; k <= n_more; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
      code = code << 6 | (byte(i + k) & 0x3F);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[n_more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      return false;
    i += n_more + 1;
  }
  return true;
}

}  // namespace safesail
