#include "atlas/records.h"

#include <array>

#include "atlas/feature_query.h"
#include "base/enum_names.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, 7> kStatusNames = {
    "ok", "unparsable", "refused", "copied", "failed", "masked", "absent"};
constexpr std::array<std::string_view, 6> kOrderNames = {"score", "density", "max_activation",
                                                         "place", "effect",  "relevance"};

}  // namespace

std::string_view to_string(TextStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}
TextStatus parse_text_status(std::string_view text) {
  return parse_enum<TextStatus>(text, kStatusNames, "status of an explanation");
}

std::string_view to_string(FeatureOrder order) {
  return kOrderNames[static_cast<std::size_t>(order)];
}
FeatureOrder parse_feature_order(std::string_view text) {
  return parse_enum<FeatureOrder>(text, kOrderNames, "order of features");
}

}  // namespace safesail
