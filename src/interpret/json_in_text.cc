#include "interpret/json_in_text.h"

#include <algorithm>

#include "base/error.h"

namespace safesail {
namespace {

// An answer that is worth reading is far below these; a text of braces is given up in time.
constexpr std::size_t kMaxObjectBytes = 256 << 10, kMaxTries = 1000;
constexpr JsonLimits kLimits{.max_bytes = kMaxObjectBytes, .max_depth = 16};

/// JSON begins with a key or ends at once; "{ship, boat}" and "{8,9}" are prose.
bool may_begin(std::string_view text, std::size_t brace) {
  const std::size_t next = text.find_first_not_of(" \t\r\n", brace + 1);
  return next != text.npos && (text[next] == '"' || text[next] == '}');
}

/// Behind the brace that closes the one at `begin`, braces in strings aside; `begin` where none
/// does.
std::size_t end_of_object(std::string_view text, std::size_t begin) {
  const std::size_t last = std::min(text.size(), begin + kMaxObjectBytes);
  bool in_string = false;
  std::size_t depth = 0;
  for (std::size_t at = begin; at < last; ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\')
        ++at;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return at + 1;
    }
  }
  return begin;
}

std::optional<Json> parsed(std::string_view text) {
  try {
    return parse_json(text, "answer", kLimits);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void collect(const Json& json, std::initializer_list<const char*> keys, std::vector<Json>& found) {
  if (json.is_object() &&
      std::ranges::all_of(keys, [&](const char* key) { return json.contains(key); })) {
    if (std::ranges::find(found, json) == found.end()) found.push_back(json);
    return;
  }
  if (json.is_structured())
    for (const Json& inside : json) collect(inside, keys, found);
}

}  // namespace

std::vector<std::string_view> json_objects_in(std::string_view text) {
  std::vector<std::string_view> objects;
  std::size_t n_tries = 0;
  for (auto at = text.find('{'); at != text.npos && n_tries < kMaxTries; at = text.find('{', at)) {
    std::size_t end = at;
    if (may_begin(text, at)) {
      ++n_tries;
      end = end_of_object(text, at);
    }
    if (end > at && parsed(text.substr(at, end - at))) {
      objects.push_back(text.substr(at, end - at));
      at = end;
    } else {
      ++at;
    }
  }
  return objects;
}

std::optional<Json> json_object_with(std::string_view text,
                                     std::initializer_list<const char*> keys) {
  std::vector<Json> found;
  for (const std::string_view object : json_objects_in(text)) collect(*parsed(object), keys, found);
  return found.size() == 1 ? std::optional(found.front()) : std::nullopt;
}

}  // namespace safesail
