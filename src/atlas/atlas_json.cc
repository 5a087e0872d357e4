#include "atlas/atlas_json.h"

#include <cmath>
#include <fmt/format.h>
#include <set>

#include "interpret/question.h"

namespace safesail {
namespace {

using Json = nlohmann::json;

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

/// JSON that a column holds; what is none stays a text.
Json json_text(const std::string& text) {
  Json json = Json::parse(text, /*callback=*/nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? Json(text) : json;
}

Json member(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) ? object[name] : Json();
}

/// An estimate as the score stage wrote it among a score's details; null where others made them.
Json interval_of(const Json& details, const char* name) {
  const Json found = member(details, name), ends = member(found, "interval");
  const auto is_number = [](const Json& json) { return json.is_number() || json.is_null(); };
  const bool fits = found.is_object() && is_number(member(found, "value")) && ends.is_array() &&
                    ends.size() == 2 && is_number(ends[0]) && is_number(ends[1]);
  return fits ? Json{{"value", member(found, "value")}, {"interval", ends}} : Json();
}

Json json_of(const Count& count) {
  return {{"name", count.name}, {"features", count.n}, {"by_language", count.by_language}};
}

Json json_of(const std::vector<Count>& counts) {
  Json list = Json::array();
  for (const Count& count : counts) list.push_back(json_of(count));
  return list;
}

Json json_of(const std::vector<WeightedToken>& tokens) {
  Json list = Json::array();
  for (const WeightedToken& token : tokens)
    list.push_back({{"id", token.id}, {"text", token.text}, {"weight", token.weight}});
  return list;
}

Json json_of(const Exemplar& exemplar) {
  const Window& window = exemplar.window;
  return {{"use", to_string(exemplar.use)},
          {"kind", to_string(exemplar.kind)},
          {"level", exemplar.level},
          {"document", fmt::format("{:016x}", window.document)},
          {"position", window.position},
          {"text", window.text},
          {"ids", window.ids},
          {"starts", window.starts},
          {"activation", window.activation}};
}

/// What the values of a simulation belong to: ranges of the window's text. Null where that is not
/// known (any more).
Json units_of(std::string_view scorer, const Window& window, std::size_t n_values) {
  std::vector<TextRange> units;
  if (scorer == to_string(Scorer::segment)) units = split_segments(window.text);
  if (scorer == to_string(Scorer::token)) units = token_units(window);
  if (scorer == to_string(Scorer::detection))
    units = {{0, static_cast<std::uint32_t>(window.text.size())}};
  if (units.size() != n_values) return nullptr;
  Json list = Json::array();
  for (const TextRange& unit : units) list.push_back({unit.begin, unit.end});
  return list;
}

Json json_of(const Score& score, const std::vector<Exemplar>* exemplars) {
  const Json details = json_text(score.details);
  const Json reason = member(details, "reason");
  Json json{{"scorer", score.key.scorer},
            {"simulator", score.key.simulator},
            {"prompt_hash", score.key.prompt_hash},
            {"seed", score.key.seed},
            {"windows", score.key.windows},
            {"batch", score.key.batch},
            {"questions", score.key.questions},
            {"value", json_number(score.value)},
            {"low", json_number(score.low)},
            {"high", json_number(score.high)},
            {"floor", json_number(score.floor)},
            {"above_floor", interval_of(details, "above_floor")},
            {"baseline", interval_of(details, "baseline")},
            {"above_baseline", interval_of(details, "above_baseline")},
            {"reason", reason.is_string() ? reason : Json()},
            {"n_windows", score.n_windows},
            {"n_units", score.n_units},
            {"n_unparsable", score.n_unparsable},
            {"n_refused", score.n_refused},
            {"n_failed", score.n_failed},
            {"details", details},
            {"simulations", Json::array()}};
  if (exemplars == nullptr) return json;
  for (const Simulation& simulation : score.simulations) {
    Json units;
    if (simulation.exemplar < exemplars->size())
      units = units_of(score.key.scorer, (*exemplars)[simulation.exemplar].window,
                       simulation.values.size());
    json["simulations"].push_back({{"exemplar", simulation.exemplar},
                                   {"values", simulation.values},
                                   {"units", std::move(units)}});
  }
  return json;
}

Json json_of(const Spending& spent) {
  return {{"requests", spent.requests},
          {"prompt_tokens", spent.prompt_tokens},
          {"completion_tokens", spent.completion_tokens},
          {"cached_tokens", spent.cached_tokens},
          {"reasoning_tokens", spent.reasoning_tokens},
          {"money", spent.money},
          {"currency", spent.currency}};
}

Json json_of(const ScoreMeasure& measure) {
  return {{"scorer", measure.scorer}, {"simulator", measure.simulator}};
}

Json json_of(const ExplanationWithScores& item, const std::vector<Exemplar>* exemplars) {
  const Explanation& explanation = item.explanation;
  Json scores = Json::array();
  for (const Score& score : item.scores) scores.push_back(json_of(score, exemplars));
  return {{"explainer", explanation.key.explainer},
          {"model", explanation.key.model},
          {"language", explanation.key.language},
          {"prompt_hash", explanation.key.prompt_hash},
          {"seed", explanation.key.seed},
          {"status", to_string(explanation.status)},
          {"reason", explanation.reason},
          {"text", explanation.short_text},
          {"long_text", explanation.long_text},
          {"raw", explanation.raw},
          {"cost", item.cost ? json_of(*item.cost) : Json()},
          {"scores", scores}};
}

}  // namespace

Json json_of(const FeatureLine& line) {
  return {{"id", line.id},
          {"name", feature_name(line.site, line.feature)},
          {"sae", line.sae},
          {"site", line.site},
          {"layer", line.layer},
          {"index", line.feature},
          {"status", line.status},
          {"score", json_number(line.score)},
          {"density", json_number(line.density)},
          {"max_activation", json_number(line.max_activation)},
          {"effect", json_number(line.effect)},
          {"explainer", line.explainer},
          {"language", line.language},
          {"explanation_status", to_string(line.text_status)},
          {"explanation", line.text},
          {"domains", line.domains}};
}

Json json_of(const FeaturePage& page, const FeatureQuery& query) {
  Json features = Json::array();
  for (const FeatureLine& line : page.lines) features.push_back(json_of(line));
  return {{"total", page.n_total}, {"offset", query.offset}, {"features", features}};
}

Json json_of(const FeatureCounts& counts, const std::vector<Spending>& spending) {
  Json spent = Json::array();
  for (const Spending& one : spending) {
    spent.push_back(json_of(one));
    spent.back()["purpose"] = one.purpose;
    spent.back()["model"] = one.model;
  }
  return {{"features", counts.n_features},
          {"explained", counts.n_explained},
          {"scored", counts.n_scored},
          {"insufficient", counts.n_insufficient},
          {"measure", json_of(counts.measure)},
          {"by_language", counts.by_language},
          {"tagged", {{"features", counts.n_tagged}, {"by_language", counts.tagged_by_language}}},
          {"domains", json_of(counts.domains)},
          {"subclasses", json_of(counts.subclasses)},
          {"layers", json_of(counts.layers)},
          {"sites", json_of(counts.sites)},
          {"saes", json_of(counts.saes)},
          {"spending", spent}};
}

Json json_of(const FeatureEntry& entry, const std::vector<Neighbour>& neighbours,
             bool with_exemplars) {
  const FeatureRecord& record = entry.record;
  Json explanations = Json::array(), tags = Json::array(), metrics = Json::array(),
       near = Json::array(), exemplars = Json::array();
  for (const ExplanationWithScores& item : entry.explanations)
    explanations.push_back(json_of(item, with_exemplars ? &record.exemplars : nullptr));
  std::set<std::string> domains;
  for (const Tag& tag : entry.tags) {
    domains.insert(tag.domain);
    tags.push_back({{"domain", tag.domain},
                    {"subclass", tag.subclass},
                    {"source", tag.source},
                    {"evidence", json_text(tag.evidence)}});
  }
  for (const PairMetrics& one : entry.pair_metrics)
    metrics.push_back({{"concept", one.concept_name},
                       {"language", one.language},
                       {"f", one.f},
                       {"reverse", one.reverse},
                       {"p", json_number(one.p)},
                       {"q", json_number(one.q)},
                       {"effect", json_number(one.effect)},
                       {"n", one.n},
                       {"accepted", one.accepted},
                       {"held_out", one.held_out.empty() ? Json() : json_text(one.held_out)}});
  for (const Neighbour& one : neighbours) {
    near.push_back(json_of(one.line));
    near.back()["cosine"] = one.cosine;
  }
  if (with_exemplars)
    for (const Exemplar& exemplar : record.exemplars) exemplars.push_back(json_of(exemplar));
  return {{"id", entry.id},
          {"name", feature_name(record.site, record.feature)},
          {"model", entry.model},
          {"sae", record.sae},
          {"site", record.site},
          {"layer", entry.layer},
          {"index", record.feature},
          {"domains", domains},
          {"status", entry.status},
          {"score", json_number(entry.score)},
          {"density", record.density()},
          {"effect", json_number(entry.effect)},
          {"x", json_number(entry.x)},
          {"y", json_number(entry.y)},
          {"n_tokens", record.n_tokens},
          {"n_active", record.n_active},
          {"parts", json_of(record.parts)},
          {"max_activation", record.max_activation},
          {"quantile", record.quantile},
          {"histogram", record.histogram},
          {"n_firing_windows", record.n_firing_windows},
          {"fires_on", json_of(record.fires_on)},
          {"promoted", json_of(record.promoted)},
          {"suppressed", json_of(record.suppressed)},
          {"nearest", near},
          {"tags", tags},
          {"pair_metrics", metrics},
          {"explanations", explanations},
          {"exemplars", exemplars}};
}

Json json_of(const Landscape& landscape) {
  Json scores = Json::array();
  for (const double score : landscape.score) scores.push_back(json_number(score));
  return {{"n", landscape.ids.size()},
          {"ids", landscape.ids},
          {"x", landscape.x},
          {"y", landscape.y},
          {"layer", landscape.layer},
          {"domain", landscape.domains},
          {"score", std::move(scores)},
          {"sae", landscape.sae},
          {"index", landscape.feature},
          {"domain_names", landscape.domain_names},
          {"sae_names", landscape.sae_names}};
}

}  // namespace safesail
