#include "cli/best_features.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iterator>
#include <set>
#include <vector>

#include "base/utf8.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr std::size_t kTextCharacters = 52;

/// The beginning of a text. What most explanations begin with is left out.
std::string shortened(std::string_view text) {
  constexpr std::string_view kUsual = "Fires on ";
  if (text.starts_with(kUsual)) text.remove_prefix(kUsual.size());
  return terminal_line(text, kTextCharacters);
}

std::string number(double value) {
  return std::isnan(value) ? std::string("-") : fmt::format("{:.2f}", value);
}

/// The score that the list shows, with its interval and floor.
const Score* headline_score(const FeatureEntry& entry, const FeatureLine& line,
                            const ScoreMeasure& measure) {
  for (const ExplanationWithScores& explained : entry.explanations)
    if (explained.explanation.key.explainer == line.explainer &&
        explained.explanation.key.language == line.language)
      for (const Score& score : explained.scores)
        if (ScoreMeasure{score.key.scorer, score.key.simulator} == measure &&
            score.value == line.score)
          return &score;
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

/// "0.91 0.78": AUROC against twins and against other concepts, on pairs that did not choose it.
std::string held_out(const PairMetrics& metrics) {
  const Json json = Json::parse(metrics.held_out, nullptr, false);
  const auto at = [&](const char* key) {
    const Json value =
        json.is_object() ? json.value(key, Json::object()).value("value", Json()) : Json();
    return value.is_number() ? number(value.get<double>()) : std::string("-");
  };
  return at("auroc_twins") + " " + at("auroc_others");
}

struct Ranked {
  const FeatureLine* line = nullptr;
  const FeatureEntry* entry = nullptr;
  const PairMetrics* metrics = nullptr;
};

std::string row(const Ranked& ranked, const std::string& domain, const ScoreMeasure& measure) {
  const FeatureLine& line = *ranked.line;
  const Score* score = headline_score(*ranked.entry, line, measure);
  const std::string interval = score == nullptr || std::isnan(score->low)
                                   ? std::string("-")
                                   : fmt::format("{:.2f} to {:.2f}", score->low, score->high);
  const auto n = static_cast<double>(ranked.metrics->n);
  const std::string& name = ranked.metrics->concept_name;
  const bool tagged = std::ranges::find(line.domains, domain) != line.domains.end();
  return fmt::format("{} {:<16} {:<27} {:>9} {:>5} {:>13} {:>5}  {}\n", tagged ? ' ' : '~',
                     feature_name(line.site, line.feature),
                     fmt::format("{} {:.0f}:{:.0f}", name.substr(name.find('/') + 1),
                                 ranked.metrics->f * n, ranked.metrics->reverse * n),
                     held_out(*ranked.metrics), number(line.score), interval,
                     score == nullptr ? "-" : number(score->floor),
                     shortened(line.status == "ok" ? line.text : line.status));
}

std::set<std::string> domains_of(const std::vector<FeatureEntry>& entries) {
  std::set<std::string> domains;
  for (const FeatureEntry& entry : entries)
    for (const PairMetrics& metrics : entry.pair_metrics)
      domains.insert(metrics.concept_name.substr(0, metrics.concept_name.find('/')));
  return domains;
}

}  // namespace

std::string best_features(Atlas& atlas, std::size_t n) {
  constexpr std::int64_t kPage = 1000;
  std::vector<FeatureLine> lines;
  for (FeatureQuery query{.limit = kPage};; query.offset += kPage) {
    FeaturePage page = atlas.list(query);
    if (page.lines.empty()) break;
    std::ranges::move(page.lines, std::back_inserter(lines));
  }
  std::vector<FeatureEntry> entries;
  for (const FeatureLine& line : lines) entries.push_back(atlas.entry(line.id));

  std::string text;
  for (const std::string& domain : domains_of(entries)) {
    std::vector<Ranked> ranked;
    for (std::size_t i = 0; i < lines.size(); ++i)
      if (const PairMetrics* metrics = surest(entries[i], domain))
        ranked.push_back({&lines[i], &entries[i], metrics});
    std::ranges::stable_sort(ranked, {}, [](const Ranked& one) { return one.metrics->p; });
    text +=
        fmt::format("\n{}\n  {:<16} {:<27} {:>9} {:>5} {:>13} {:>5}  {}\n", domain, "feature",
                    "fires with : without", "held out", "score", "interval", "floor", "fires on");
    for (std::size_t i = 0; i < std::min(n, ranked.size()); ++i)
      text += row(ranked[i], domain, atlas.measure());
  }
  return text;
}

}  // namespace safesail
