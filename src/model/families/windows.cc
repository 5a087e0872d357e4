#include "model/families/windows.h"

#include <fmt/format.h>
#include <limits>

#include "base/error.h"

namespace safesail {

void set_windows(ModelSpec& spec, std::string_view where, std::int64_t window, int rope,
                 const std::function<bool(std::int64_t layer)>& is_sliding) {
  if (window < 1 || window > std::numeric_limits<std::int32_t>::max())
    bad_input(where, fmt::format("expected a sliding window of at least 1 token, got {}", window),
              "check attention.sliding_window (sliding_window in config.json)");
  for (std::int64_t layer = 0; layer < spec.n_layers; ++layer)
    if (is_sliding(layer))
      spec.attention[static_cast<std::size_t>(layer)] = {
          .mask = Mask::sliding, .window = static_cast<std::int32_t>(window), .rope = rope};
}

namespace {

/// Whether each layer has a window; empty where the configuration does not say.
std::vector<bool> read_layer_types(const ModelSpec& spec, const JsonObject& config) {
  std::vector<bool> sliding;
  if (!config.contains("layer_types")) return sliding;
  for (const std::string& type : config.get<std::vector<std::string>>("layer_types")) {
    if (type != "sliding_attention" && type != "full_attention")
      bad_input(config.where(),
                fmt::format("expected sliding_attention or full_attention in layer_types, got {}",
                            printable(type)),
                "this kind of layer is not known; use a model of a known kind");
    sliding.push_back(type == "sliding_attention");
  }
  if (std::ssize(sliding) != spec.n_layers)
    bad_input(
        config.where(),
        fmt::format("expected {} layer_types, one a layer, got {}", spec.n_layers, sliding.size()),
        "use the config.json that came with the weights");
  return sliding;
}

}  // namespace

void read_windows(ModelSpec& spec, const JsonObject& config, int rope,
                  const std::function<bool(std::int64_t layer)>& is_sliding) {
  const std::vector<bool> types = read_layer_types(spec, config);
  const auto window = config.get<std::int64_t>("sliding_window");
  if (types.empty()) return set_windows(spec, config.where(), window, rope, is_sliding);
  set_windows(spec, config.where(), window, rope,
              [&](std::int64_t layer) { return types[static_cast<std::size_t>(layer)]; });
}

void require_layer_types(const ModelSpec& spec, const JsonObject& config) {
  const std::vector<bool> types = read_layer_types(spec, config);
  for (std::size_t layer = 0; layer < types.size(); ++layer)
    if (types[layer] != (spec.attention[layer].mask == Mask::sliding))
      bad_input(config.where(),
                fmt::format("expected {} as the kind of layer {}, got {} in layer_types",
                            types[layer] ? "full_attention" : "sliding_attention", layer,
                            types[layer] ? "sliding_attention" : "full_attention"),
                "this family has no layers of several kinds; use a model of a known kind");
}

}  // namespace safesail
