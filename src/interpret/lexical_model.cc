#include "interpret/lexical_model.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <unordered_map>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

// Documents that a cue must have for half of its effect, by kind: what many words share (an
// ending) needs more of them than the word itself. Chosen on 300 features; twice or half of all
// changes the mean score by less than 0.006.
constexpr std::array<double, kCueKinds> kShrinkage = {1, 1, 2, 2, 4, 2};
constexpr int kSweeps = 8;  // of coordinate descent; the scores are those of 60
constexpr Expected kSmallEffect = {.level = 0.4F, .active = 0.04F};

struct Occurrence {
  std::uint32_t piece = 0;
  std::uint64_t document = 0;
  double weight = 0;  ///< the occurrences of a cue in a document add up to 1
};

/// All words of the windows, seen by cue.
struct Observations {
  std::vector<float> level, active;  // [n_pieces]
  std::map<Cue, std::vector<Occurrence>> of_cue;
};

Observations observe(std::span<const Exemplar* const> exemplars, float quantile) {
  Observations all;
  for (const Exemplar* exemplar : exemplars) {
    SAFESAIL_CHECK(exemplar->use == Use::explain);
    const Window& window = exemplar->window;
    std::vector<CuedPiece> pieces = cued_pieces(window.text);
    std::vector<TextRange> ranges;
    for (const CuedPiece& piece : pieces) ranges.push_back(piece.range);
    const std::vector<float> activation = max_activations(window, ranges);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto number = static_cast<std::uint32_t>(all.level.size());
      const int level = activation_level(activation[i], quantile);
      all.level.push_back(static_cast<float>(level));
      all.active.push_back(level >= 1 ? 1.0F : 0.0F);
      for (Cue& cue : pieces[i].cues)
        all.of_cue[std::move(cue)].push_back({.piece = number, .document = window.document});
    }
  }
  for (auto& [cue, occurrences] : all.of_cue) {
    std::unordered_map<std::uint64_t, int> n_in;
    for (const Occurrence& occurrence : occurrences) ++n_in[occurrence.document];
    for (Occurrence& occurrence : occurrences) occurrence.weight = 1.0 / n_in[occurrence.document];
  }
  return all;
}

struct Fit {
  double bias = 0;
  std::vector<double> effects;  // in the order of Observations::of_cue
};

/// Coordinate descent: each effect in turn takes its best value given the others.
Fit fit(const Observations& all, const std::vector<float>& target) {
  Fit fit{.effects = std::vector<double>(all.of_cue.size())};
  for (const float value : target) fit.bias += value / static_cast<double>(target.size());
  std::vector<double> left_over(target.begin(), target.end());
  for (double& value : left_over) value -= fit.bias;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    auto effect = fit.effects.begin();
    for (const auto& [cue, occurrences] : all.of_cue) {
      double sum = 0, n_documents = 0;
      for (const Occurrence& occurrence : occurrences) {
        sum += occurrence.weight * (left_over[occurrence.piece] + *effect);
        n_documents += occurrence.weight;
      }
      const double better = sum / (n_documents + kShrinkage[static_cast<std::size_t>(cue.kind)]);
      for (const Occurrence& occurrence : occurrences)
        left_over[occurrence.piece] -= better - *effect;
      *effect++ = better;
    }
  }
  return fit;
}

Json numbers(const Expected& expected) {
  const auto rounded = [](float value, double digits) {
    return std::round(static_cast<double>(value) * digits) / digits;
  };
  return {rounded(expected.level, 100), rounded(expected.active, 1000)};
}

Expected parse_numbers(const Json& value, std::string_view where) {
  constexpr double kMostLevel = 2 * kMaxLevel, kMostActive = 2;  // of what a fit can give
  if (value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number()) {
    const double level = value[0].get<double>(), active = value[1].get<double>();
    if (std::abs(level) <= kMostLevel && std::abs(active) <= kMostActive)
      return {static_cast<float>(level), static_cast<float>(active)};
  }
  bad_input(where,
            fmt::format("expected [level, probability], got {}", printable(dump_json(value))),
            "explain the feature again");
}

}  // namespace

Expected Lexicon::expected(const CuedPiece& piece) const {
  Expected sum = bias;
  for (const Cue& cue : piece.cues)
    if (const auto found = effects.find(cue); found != effects.end()) {
      sum.level += found->second.level;
      sum.active += found->second.active;
    }
  return {std::clamp(sum.level, 0.0F, float{kMaxLevel}), std::clamp(sum.active, 0.0F, 1.0F)};
}

Lexicon fit_lexicon(std::span<const Exemplar* const> exemplars, float quantile) {
  const Observations all = observe(exemplars, quantile);
  const Fit level = fit(all, all.level), active = fit(all, all.active);
  Lexicon lexicon{.bias = {static_cast<float>(level.bias), static_cast<float>(active.bias)},
                  .effects = {}};
  std::size_t i = 0;
  for (const auto& [cue, occurrences] : all.of_cue) {
    const Expected effect = {static_cast<float>(level.effects[i]),
                             static_cast<float>(active.effects[i])};
    ++i;
    if (std::abs(effect.level) >= kSmallEffect.level ||
        std::abs(effect.active) >= kSmallEffect.active)
      lexicon.effects.emplace(cue, effect);
  }
  return lexicon;
}

std::string to_json(const Lexicon& lexicon) {
  Json json = {{"bias", numbers(lexicon.bias)}};
  for (const auto& [cue, effect] : lexicon.effects)
    json[std::string(to_string(cue.kind))][cue.text] = numbers(effect);
  return dump_json(json);
}

Lexicon parse_lexicon(std::string_view text) {
  constexpr std::string_view kWhere = "lexicon";
  const Json json = parse_json(text, kWhere);
  const JsonObject object(json, std::string(kWhere));
  Lexicon lexicon;
  lexicon.bias = parse_numbers(object.contains("bias") ? json["bias"] : Json(), kWhere);
  for (std::size_t k = 0; k < kCueKinds; ++k) {
    const auto kind = static_cast<CueKind>(k);
    const std::optional<JsonObject> effects = object.find_object(to_string(kind));
    if (!effects) continue;
    for (const auto& [cue, effect] : effects->json().items())
      lexicon.effects.emplace(Cue{kind, cue}, parse_numbers(effect, effects->where()));
  }
  return lexicon;
}

}  // namespace safesail
