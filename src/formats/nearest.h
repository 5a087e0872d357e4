// "There is no tensor 'x'; the nearest are ..." for error texts.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

/// Levenshtein distance in bytes.
std::size_t edits_between(std::string_view a, std::string_view b);

/// The up to three candidates with the fewest edits to `name`, quoted and joined; "none" when
/// there are none.
std::string nearest_names(std::string_view name, const std::vector<std::string_view>& candidates);

/// The same over the keys of a map.
template <class Map>
std::string nearest_keys(std::string_view name, const Map& map) {
  std::vector<std::string_view> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(key);
  return nearest_names(name, keys);
}

}  // namespace safesail
