// How commands print. Texts come from files, models and endpoints: for people everything goes
// through terminal_text(), so that none of it moves a cursor or retitles a window; JSON for
// machines keeps every character.
#pragma once

#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
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

/// What ended `work` early, to be thrown again once what was done is printed: a command that goes
/// on where it stopped says how far it came.
template <class Work>
std::exception_ptr what_ended(Work&& work) {
  try {
    work();
    return nullptr;
  } catch (const Error&) {
    return std::current_exception();
  }
}

inline void print_json(const Json& json, int indent = -1) {
  fmt::print("{}\n", dump_json(json, {.indent = indent}));
}

}  // namespace safesail
