// What the families read from config.json in the same way. Free functions; a key that is missing,
// impossible or unknown is an input error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"
#include "model/spec.h"

namespace safesail {

/// `config` with what transformers' class of the family takes for keys that are missing. A key that
/// is null stays null: it often means another thing (no window, as many heads of keys as of
/// queries).
Json with_defaults(const JsonObject& config, Json defaults);

/// Sizes, epsilon, positions and end tokens under the names that all but GPT-2 use. No rotation
/// yet.
ModelSpec read_common(const JsonObject& config);

/// One id or a list of them; none when the key is missing.
std::vector<std::int32_t> read_ids(const JsonObject& config, std::string_view key);
/// The activation under one of the names that configs use ("silu", "gelu_new", "gelu"...).
Activation read_activation(const JsonObject& config, std::string_view key, std::string otherwise);

}  // namespace safesail
