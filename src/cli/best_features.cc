#include "cli/best_features.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <tuple>
#include <vector>

namespace safesail {
namespace {

constexpr std::size_t kTextCharacters = 40;

/// The beginning of a text, cut between characters; nothing that a terminal would obey.
std::string shortened(std::string_view text) {
  std::string line;
  std::size_t n_characters = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool begins = (byte & 0xC0) != 0x80;
    if (begins && n_characters == kTextCharacters) return line + "...";
    n_characters += begins;
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

/// The concept of `domain` that the feature tells apart most surely.
const PairMetrics* surest(const FeatureEntry& entry, const std::string& domain) {
  const PairMetrics* best = nullptr;
  for (const PairMetrics& metrics : entry.pair_metrics)
    if ((metrics.concept_name == domain || metrics.concept_name.starts_with(domain + "/")) &&
        (best == nullptr || metrics.p < best->p))
      best = &metrics;
  return best;
}

struct Ranked {
  FeatureLine line;
  FeatureEntry entry;
  double p = 1;
};

std::string row(const Ranked& ranked, const std::string& domain) {
  const auto& [line, entry, p] = ranked;
  const Score* score = headline_score(entry, line);
  const std::string interval = score == nullptr || std::isnan(score->low)
                                   ? std::string("-")
                                   : fmt::format("{:.2f} to {:.2f}", score->low, score->high);
  std::string pairs = "-";
  if (const PairMetrics* metrics = surest(entry, domain)) {
    const auto n = static_cast<double>(metrics->n);
    const std::string& name = metrics->concept_name;
    pairs = fmt::format("{} {:.0f}:{:.0f}", name.substr(name.find('/') + 1), metrics->f * n,
                        metrics->reverse * n);
  }
  return fmt::format("  {:<16} {:<27} {:>5} {:>13} {:>5}  {}\n",
                     feature_name(line.site, line.feature), pairs, number(line.score), interval,
                     score == nullptr ? "-" : number(score->floor),
                     shortened(line.status == "ok" ? line.text : line.status));
}

}  // namespace

std::string best_features(Atlas& atlas, std::size_t n) {
  std::string text;
  for (const Count& domain : atlas.counts().domains) {
    text += fmt::format("\n{}: {} features\n  {:<16} {:<27} {:>5} {:>13} {:>5}  {}\n", domain.name,
                        domain.n, "feature", "fires with : without", "score", "interval", "floor",
                        "explanation");
    FeatureQuery query{.domain = domain.name};
    query.limit = domain.n;
    std::vector<Ranked> ranked;
    for (FeatureLine& line : atlas.list(query).lines) {
      FeatureEntry entry = atlas.entry(line.id);
      const PairMetrics* best = surest(entry, domain.name);
      const double p = best == nullptr ? 1 : best->p;
      ranked.push_back({std::move(line), std::move(entry), p});
    }
    std::ranges::stable_sort(ranked, {}, &Ranked::p);
    for (std::size_t i = 0; i < std::min(n, ranked.size()); ++i)
      text += row(ranked[i], domain.name);
  }
  return text;
}

}  // namespace safesail
