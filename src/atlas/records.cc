#include "atlas/records.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "atlas/feature_query.h"
#include "base/error.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, 6> kStatusNames = {"ok",     "unparsable", "refused",
                                                          "failed", "masked",     "absent"};
constexpr std::array<std::string_view, 6> kOrderNames = {"score", "density", "max_activation",
                                                         "place", "effect",  "relevance"};

template <class Enum, std::size_t n>
Enum parse(std::string_view text, const std::array<std::string_view, n>& names,
           std::string_view what) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end())
    bad_input(what, fmt::format("expected one of {}, got \"{}\"", fmt::join(names, ", "), text),
              "choose one of them");
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

std::string_view to_string(TextStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}
TextStatus parse_text_status(std::string_view text) {
  return parse<TextStatus>(text, kStatusNames, "status of an explanation");
}

std::string_view to_string(FeatureOrder order) {
  return kOrderNames[static_cast<std::size_t>(order)];
}
FeatureOrder parse_feature_order(std::string_view text) {
  return parse<FeatureOrder>(text, kOrderNames, "order of features");
}

}  // namespace safesail
