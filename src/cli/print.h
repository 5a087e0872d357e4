// How commands print. Texts come from files, models and endpoints: for people everything goes
// through terminal_text(), so that none of it moves a cursor or retitles a window; JSON for
// machines keeps every character.
#pragma once

#include <cstdio>
#include <fmt/format.h>
#include <utility>

#include "base/utf8.h"
#include "formats/json.h"

namespace safesail {

inline void print_text(std::FILE* stream, std::string_view text) {
  const std::string shown = terminal_text(text);
  std::fwrite(shown.data(), 1, shown.size(), stream);
}

/// fmt::print to standard output.
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print_text(stdout, fmt::format(format, std::forward<Args>(args)...));
}

/// fmt::print to standard error.
template <class... Args>
void print_error(fmt::format_string<Args...> format, Args&&... args) {
  print_text(stderr, fmt::format(format, std::forward<Args>(args)...));
}

inline void print_json(const Json& json, int indent = -1) {
  fmt::print("{}\n", dump_json(json, {.indent = indent}));
}

}  // namespace safesail
