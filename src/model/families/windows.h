// Which layers see all keys and which a sliding window of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "formats/json.h"
#include "model/spec.h"

namespace safesail {

/// Gives the layers of which `is_sliding` says so a window of `window` keys and the rotation
/// spec.ropes[rope]; the others stay as they are. An input error for a window that cannot be.
void set_windows(ModelSpec& spec, std::string_view where, std::int64_t window, int rope,
                 const std::function<bool(std::int64_t layer)>& is_sliding);

/// The same by `layer_types` where the configuration has them, else by `is_sliding`.
void read_windows(ModelSpec& spec, const JsonObject& config, int rope,
                  const std::function<bool(std::int64_t layer)>& is_sliding);

/// An input error where `layer_types` say otherwise than the layers are: for families that do not
/// go by them.
void require_layer_types(const ModelSpec& spec, const JsonObject& config);

}  // namespace safesail
