#include "harvest/exemplars.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/enum_names.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, 3> kUseNames = {"explain", "calibrate", "test"};
constexpr std::array<std::string_view, 5> kKindNames = {"top", "level", "silent", "hard_token",
                                                        "hard_cofiring"};

}  // namespace

std::string_view to_string(Use use) {
  return kUseNames[static_cast<std::size_t>(use)];
}
Use parse_use(std::string_view text) {
  return parse_enum<Use>(text, kUseNames, "use of a document");
}

std::string_view to_string(WindowKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}
WindowKind parse_window_kind(std::string_view text) {
  return parse_enum<WindowKind>(text, kKindNames, "kind of a window");
}

int activation_level(float activation, float quantile) {
  if (!(quantile > 0) || !(activation > 0)) return 0;
  const float level = std::round(kMaxLevel * activation / quantile);
  return static_cast<int>(std::min(level, float{kMaxLevel}));
}

float Window::max_activation() const {
  return activation.empty() ? 0 : *std::max_element(activation.begin(), activation.end());
}

std::string feature_name(std::string_view site, std::int32_t feature) {
  return fmt::format("{}:{}", site, feature);
}

}  // namespace safesail
