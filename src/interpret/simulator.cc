#include "interpret/simulator.h"

#include <array>

#include "base/enum_names.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, 4> kScorerNames = {"segment", "token", "detection",
                                                          "fuzzing"};
constexpr std::array<std::string_view, 4> kStatusNames = {"ok", "unparsable", "refused", "failed"};

}  // namespace

std::string_view to_string(Scorer scorer) {
  return kScorerNames[static_cast<std::size_t>(scorer)];
}

Scorer parse_scorer(std::string_view text) {
  return parse_enum<Scorer>(text, kScorerNames, "scorer");
}

std::string_view to_string(AnswerStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

}  // namespace safesail
