#include "interpret/simulator.h"

#include <array>

#include "base/enum_names.h"
#include "interpret/lexical_sentence.h"

namespace safesail {
namespace {

constexpr std::array<std::string_view, 4> kScorerNames = {"segment", "token", "detection",
                                                          "fuzzing"};
constexpr std::array<std::string_view, kAnswerStatuses> kStatusNames = {
    "ok", "unparsable", "refused", "failed", "copied"};

}  // namespace

ExplanationText explanation_for_simulator(std::string_view short_text, std::string_view long_text,
                                          std::string_view feature, std::string_view lexicon) {
  std::string text(short_text);
  if (!short_text.empty() && !long_text.empty()) text += ". ";
  const std::string gist = lexicon.empty() ? std::string(short_text) : lexical_gist(short_text);
  return {text.append(long_text), std::string(lexicon), std::string(feature), gist};
}

SimulationCost& SimulationCost::operator+=(const SimulationCost& other) {
  n_requests += other.n_requests;
  usage += other.usage;
  money += other.money;
  return *this;
}

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
