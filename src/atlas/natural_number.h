// Whole numbers inside names and texts: "16378". One spelling a number (no sign, no leading zero),
// or what is written out again would have another name.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace safesail {

/// Nothing unless all of `text` is one, below 2^31.
inline std::optional<std::int32_t> natural_number(std::string_view text) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 ||
      (text.size() > 1 && text[0] == '0') || text.starts_with('-'))
    return std::nullopt;
  return value;
}

}  // namespace safesail
