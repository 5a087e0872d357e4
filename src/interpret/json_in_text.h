// JSON objects that stand in prose, as models write them: behind a sentence, in a fence, before a
// remark, though the prose has braces of its own. The text is hostile: what is tried is bounded.
// Free functions.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "formats/json.h"

namespace safesail {

/// The outermost objects, in their order; views of `text`. Braces that hold no JSON are prose.
std::vector<std::string_view> json_objects_in(std::string_view text);

/// The object that has all `keys`, at any depth of those in the text. Nothing where there is none,
/// or where several differ: which of them is meant is not for us to say.
std::optional<Json> json_object_with(std::string_view text,
                                     std::initializer_list<const char*> keys);

}  // namespace safesail
