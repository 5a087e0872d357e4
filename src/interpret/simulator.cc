#include "interpret/simulator.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/error.h"

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
  const auto found = std::ranges::find(kScorerNames, text);
  if (found == kScorerNames.end())
    bad_input("scorer", fmt::format("\"{}\" is none", text),
              "choose segment, token, detection or fuzzing");
  return static_cast<Scorer>(found - kScorerNames.begin());
}

std::string_view to_string(AnswerStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

}  // namespace safesail
