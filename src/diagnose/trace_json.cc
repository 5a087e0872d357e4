#include "diagnose/trace_json.h"

#include <cmath>

namespace safesail {
namespace {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

std::string_view text_of(const TraceToken& token, std::string_view text) {
  return text.substr(token.start, token.end - token.start);
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}

Json explanation_of(const KnownFeature& known, std::string_view language) {
  if (known.explanations.empty()) return nullptr;
  const auto found = known.explanations.find(std::string(language));
  return found == known.explanations.end() ? known.explanations.begin()->second : found->second;
}

}  // namespace

Json json_of(const TraceFeature& feature) {
  const Site site = feature.sae->site();
  Json json{{"id", nullptr},
            {"name", feature_name(to_string(site), feature.index)},
            {"sae", feature.sae->name()},
            {"site", to_string(site)},
            {"layer", site.layer},
            {"index", feature.index},
            {"explanation", Json::object()},
            {"score", nullptr},
            {"domains", Json::array()},
            {"quantile", nullptr}};
  if (const KnownFeature* const known = feature.known.get()) {
    if (known->id != 0) json["id"] = known->id;
    json["explanation"] = known->explanations;
    json["score"] = number(known->score);
    json["domains"] = known->domains;
    json["quantile"] = number(known->quantile);
  }
  return json;
}

Json json_of(const TokenFeature& feature) {
  return {{"feature", feature.feature},
          {"activation", feature.activation},
          {"normalised", number(feature.normalised)}};
}

Json json_of(const TraceToken& token, std::string_view text) {
  Json features = Json::array();
  for (const TokenFeature& feature : token.features) features.push_back(json_of(feature));
  return {{"position", token.position},
          {"id", token.id},
          {"text", text_of(token, text)},
          {"start", token.start},
          {"end", token.end},
          {"role", token.role},
          {"part", token.is_response ? "response" : "query"},
          {"special", token.is_special},
          {"features", std::move(features)}};
}

Json json_of(const Trace& trace) {
  Json features = Json::array(), tokens = Json::array();
  for (const TraceFeature& feature : trace.features) features.push_back(json_of(feature));
  for (const TraceToken& token : trace.tokens) tokens.push_back(json_of(token, trace.text));
  return {{"text", trace.text}, {"features", std::move(features)}, {"tokens", std::move(tokens)}};
}

Json json_of(const Comparison& comparison) {
  Json features = Json::array(), domains = Json::array();
  for (const ComparedFeature& one : comparison.features) {
    Json json = json_of(one.feature);
    json["expected_max"] = numbers(one.expected);
    json["max"] = numbers(one.max);
    json["max_position"] = one.position;
    features.push_back(std::move(json));
  }
  for (const DomainAtLayer& one : comparison.domains)
    domains.push_back({{"domain", one.domain},
                       {"layer", one.layer},
                       {"expected_max", numbers(one.expected)},
                       {"max", numbers(one.max)},
                       {"mean", numbers(one.mean)}});
  return {{"n_tokens", comparison.n_tokens},
          {"n_drawn", comparison.n_drawn},
          {"features", std::move(features)},
          {"domains_by_layer", std::move(domains)}};
}

Json json_in_full(const Trace& trace, std::string_view language) {
  Json tokens = Json::array();
  for (const TraceToken& token : trace.tokens) {
    Json json = json_of(token, trace.text);
    json["features"] = Json::array();
    for (const TokenFeature& one : token.features) {
      const TraceFeature& feature = trace.features[one.feature];
      json["features"].push_back(
          {{"layer", feature.sae->site().layer},
           {"index", feature.index},
           {"name", feature_name(to_string(feature.sae->site()), feature.index)},
           {"activation", one.activation},
           {"normalised", number(one.normalised)},
           {"score", feature.known == nullptr ? Json(nullptr) : number(feature.known->score)},
           {"explanation",
            feature.known == nullptr ? Json(nullptr) : explanation_of(*feature.known, language)}});
    }
    tokens.push_back(std::move(json));
  }
  return {{"text", trace.text}, {"tokens", std::move(tokens)}};
}

}  // namespace safesail
