// An enum by the names of its values: the same list writes them and reads them.
#pragma once

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string_view>

#include "base/error.h"

namespace safesail {

/// The value whose place in `names` has this name; an input error at `where` when there is none.
template <class Enum, std::size_t n>
Enum parse_enum(std::string_view text, const std::array<std::string_view, n>& names,
                std::string_view where) {
  const auto found = std::ranges::find(names, text);
  if (found == names.end())
    bad_input(where, fmt::format("expected one of {}, got \"{}\"", fmt::join(names, ", "), text),
              "choose one of them");
  return static_cast<Enum>(found - names.begin());
}

}  // namespace safesail
