#include "cli/best_features.h"

#include <cmath>
#include <fmt/format.h>

namespace safesail {
namespace {

constexpr std::size_t kTextBytes = 62;

/// The first bytes of a text, cut between characters; nothing that a terminal would obey.
std::string shortened(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (line.size() >= kTextBytes && (byte & 0xC0) != 0x80) return line + "...";
    line += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return line;
}

std::string number(double value) {
  return std::isnan(value) ? std::string("-") : fmt::format("{:.2f}", value);
}

/// The score that the list shows, with its interval and floor.
const Score* headline_score(const FeatureEntry& entry, const FeatureLine& line) {
  for (const ExplanationWithScores& explained : entry.explanations)
    if (explained.explanation.key.explainer == line.explainer &&
        explained.explanation.key.language == line.language)
      for (const Score& score : explained.scores)
        if (score.value == line.score) return &score;
  return nullptr;
}

}  // namespace

std::string best_features(Atlas& atlas, int n) {
  std::string text;
  for (const Count& domain : atlas.counts().domains) {
    text += fmt::format("\n{}: {} features\n  {:<16} {:>5} {:>12} {:>5}  {}\n", domain.name,
                        domain.n, "feature", "score", "interval", "floor", "explanation");
    FeatureQuery query{.domain = domain.name};
    query.limit = n;
    for (const FeatureLine& line : atlas.list(query).lines) {
      const FeatureEntry entry = atlas.entry(line.id);
      const Score* score = headline_score(entry, line);
      const std::string interval = score == nullptr || std::isnan(score->low)
                                       ? std::string("-")
                                       : fmt::format("{:.2f} to {:.2f}", score->low, score->high);
      text +=
          fmt::format("  {:<16} {:>5} {:>12} {:>5}  {}\n", feature_name(line.site, line.feature),
                      number(line.score), interval, score == nullptr ? "-" : number(score->floor),
                      shortened(line.status == "ok" ? line.text : line.status));
    }
  }
  return text;
}

}  // namespace safesail
