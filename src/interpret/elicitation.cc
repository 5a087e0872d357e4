#include "interpret/elicitation.h"

#include <array>

#include "base/enum_names.h"
#include "base/error.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, 2> kAskingNames = {"lists", "verdicts"};

}  // namespace

std::string_view to_string(Asking asking) {
  return kAskingNames[static_cast<std::size_t>(asking)];
}

Asking parse_asking(std::string_view text) {
  return parse_enum<Asking>(text, kAskingNames, "way of asking");
}

std::string_view unit_text(const Question& question, Question::Range unit) {
  SAFESAIL_CHECK(unit.begin <= unit.end && unit.end <= question.text.size());
  return std::string_view(question.text).substr(unit.begin, unit.end - unit.begin);
}

}  // namespace safesail
