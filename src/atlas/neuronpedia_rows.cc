#include "atlas/neuronpedia_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

#include "atlas/atlas_json.h"
#include "atlas/judge.h"
#include "atlas/natural_number.h"
#include "atlas/small_float.h"
#include "base/error.h"
#include "base/hash.h"
#include "formats/json.h"
#include "model/site_names.h"

namespace safesail::neuronpedia {
namespace {

constexpr const char* kRemedy = "correct the row, or export it again";
constexpr const char* kCreator = "safesail";
/// What is ours in a row, so that our own export comes in again without loss. Neuronpedia's
/// importer takes only the columns it knows.
constexpr const char* kOwn = "safesail";

/// The double that prints as shortly as the float does: 0.1, not 0.10000000149011612.
double short_double(float value) {
  double result = 0;
  const std::string text = fmt::format("{}", value);
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

Json numbers(const std::vector<float>& values) {
  Json list = Json::array();
  for (const float value : values) list.push_back(short_double(value));
  return list;
}

Json number_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json json_of(const std::vector<Simulation>& simulations) {
  Json list = Json::array();
  for (const Simulation& simulation : simulations)
    list.push_back({{"exemplar", simulation.exemplar}, {"values", numbers(simulation.values)}});
  return list;
}

Simulation simulation_of(const JsonObject& row) {
  const std::int64_t exemplar = row.get<std::int64_t>("exemplar");
  if (exemplar < 0) bad_input(row.where(), "exemplar: expected a place, from 0", kRemedy);
  Simulation simulation{static_cast<std::size_t>(exemplar), {}};
  for (const double value : row.get<std::vector<double>>("values"))
    simulation.values.push_back(float_of(value, row.where()));
  return simulation;
}

std::vector<WeightedToken> tokens_of(const JsonObject& row, const char* names, const char* values) {
  const auto texts = row.get_or<std::vector<std::string>>(names, {});
  const auto weights = row.get_or<std::vector<double>>(values, {});
  if (texts.size() != weights.size())
    bad_input(row.where(),
              fmt::format("expected as many {} as {}, got {} and {}", values, names, weights.size(),
                          texts.size()),
              kRemedy);
  std::vector<WeightedToken> tokens;
  for (std::size_t i = 0; i < texts.size(); ++i)
    tokens.push_back({-1, texts[i], float_of(weights[i], row.where())});
  return tokens;
}

std::string id_of(const Place& place, std::string_view what, std::size_t number) {
  return "c" + hash_hex(fmt::format("{}/{}/{}/{}/{}", place.model, place.source, place.feature,
                                    what, number))
                   .substr(0, 24);
}

void put_place(Json& row, const Place& place) {
  row["modelId"] = place.model;
  row["layer"] = place.source;
  row["index"] = std::to_string(place.feature);
}

/// The row that came from Neuronpedia, where one did; else an empty object.
Json kept_row(const std::string& extra) {
  constexpr const char* kWhere = "what the atlas keeps of a row";
  const Json json = parse_json(extra, kWhere);
  const auto row = JsonObject(json, kWhere).find_object("neuronpedia");
  return row ? row->json() : Json::object();
}

}  // namespace

Place place_of(const JsonObject& row) {
  Place place{row.get<std::string>("modelId"), row.get<std::string>("layer"), 0};
  const std::string index = row.get<std::string>("index");
  const auto feature = natural_number(index);
  if (!feature)
    bad_input(row.where(), "index: expected a whole number in quotes, got " + printable(index),
              kRemedy);
  place.feature = *feature;
  return place;
}

std::int32_t layer_of_source(const std::string& source) {
  return natural_number(source.substr(0, source.find('-'))).value_or(0);
}

std::string site_of_hook(const std::string& hook, std::string_view model) {
  const auto value = value_of_hook(hook, may_have_post_norms(model));
  return value && !value->before_gain ? to_string(value->site) : hook;
}

FeatureRow feature_of(const JsonObject& row) {
  FeatureRow result;
  FeatureRecord& record = result.record;
  record.feature = place_of(row).feature;
  record.max_activation = float_of(row.get_or<double>("maxActApprox", 0), row.where());
  record.promoted = tokens_of(row, "pos_str", "pos_values");
  record.suppressed = tokens_of(row, "neg_str", "neg_values");
  const auto near = row.get_or<std::vector<std::int64_t>>("topkCosSimIndices", {});
  const auto cosines = row.get_or<std::vector<double>>("topkCosSimValues", {});
  if (near.size() != cosines.size())
    bad_input(row.where(), "expected as many topkCosSimValues as topkCosSimIndices", kRemedy);
  for (std::size_t i = 0; i < near.size(); ++i)
    record.nearest.push_back(
        {static_cast<std::int32_t>(near[i]), float_of(cosines[i], row.where())});
  result.density = row.find<double>("frac_nonzero").value_or(kUnknown);
  if (result.density < 0 || result.density > 1)
    bad_input(row.where(), "frac_nonzero: expected a share from 0 to 1", kRemedy);
  result.hook = row.get_or<std::string>("hookName", "");
  if (const auto own = row.find_object(kOwn)) {
    record.n_tokens = static_cast<std::uint64_t>(own->get<std::int64_t>("n_tokens"));
    record.n_active = static_cast<std::uint64_t>(own->get<std::int64_t>("n_active"));
    record.quantile = float_of(own->get<double>("quantile"), own->where());
    result.x = own->find<double>("x").value_or(kUnknown);
    result.y = own->find<double>("y").value_or(kUnknown);
    for (const double one : {result.x, result.y})
      if (one < 0 || one > 1)
        bad_input(own->where(), "x and y: expected shares from 0 to 1", kRemedy);
    for (const std::int64_t count : own->get<std::vector<std::int64_t>>("histogram"))
      record.histogram.push_back(static_cast<std::uint64_t>(count));
    for (const Json& item : own->json().value("parts", Json::array())) {
      const JsonObject part(item, own->where() + ": parts");
      record.parts.push_back({part.get<std::string>("part"),
                              static_cast<std::uint64_t>(part.get<std::int64_t>("n_tokens")),
                              static_cast<std::uint64_t>(part.get<std::int64_t>("n_active"))});
    }
  }
  return result;
}

Json row_of(const FeatureEntry& entry, const Place& place) {
  const FeatureRecord& record = entry.record;
  Json row = kept_row(entry.extra);
  if (row.empty()) {
    Json heights = Json::array(), centres = Json::array();
    for (std::size_t i = 0; i < record.histogram.size(); ++i) {
      heights.push_back(record.histogram[i]);
      centres.push_back((static_cast<double>(i) + 0.5) * record.max_activation /
                        static_cast<double>(record.histogram.size()));
    }
    const auto tokens = [&](const char* names, const char* values,
                            const std::vector<WeightedToken>& list) {
      row[names] = row[values] = Json::array();
      for (const WeightedToken& token : list) {
        row[names].push_back(token.text);
        row[values].push_back(short_double(token.weight));
      }
    };
    tokens("pos_str", "pos_values", record.promoted);
    tokens("neg_str", "neg_values", record.suppressed);
    row["maxActApprox"] = short_double(record.max_activation);
    row["creatorId"] = kCreator;
    row["frac_nonzero"] = record.density();
    row["freq_hist_data_bar_heights"] = heights;
    row["freq_hist_data_bar_values"] = centres;
    row["topkCosSimIndices"] = row["topkCosSimValues"] = Json::array();
    for (const NearFeature& near : record.nearest) {
      row["topkCosSimIndices"].push_back(near.feature);
      row["topkCosSimValues"].push_back(short_double(near.cosine));
    }
    const std::optional<Site> site = find_site(record.site);
    row["hookName"] = site ? transformer_lens_hook(*site, may_have_post_norms(entry.model))
                      : record.site.starts_with("blocks.") ? record.site
                                                           : "";
    row["hasVector"] = false;
    row["vector"] = Json::array();
    row["sourceSetName"] = place.source.substr(place.source.find('-') + 1);
    row[kOwn] = {{"n_tokens", record.n_tokens},
                 {"n_active", record.n_active},
                 {"quantile", short_double(record.quantile)},
                 {"histogram", record.histogram},
                 {"x", number_or_null(entry.x)},
                 {"y", number_or_null(entry.y)},
                 {"parts", safesail::json_of(record.parts)}};
  }
  put_place(row, place);
  return row;
}

ActivationRow exemplar_of(const JsonObject& row, float max_activation) {
  const auto tokens = row.get<std::vector<std::string>>("tokens");
  const auto values = row.get<std::vector<double>>("values");
  if (tokens.size() != values.size())
    bad_input(row.where(),
              fmt::format("expected as many values as tokens, got {} and {}", values.size(),
                          tokens.size()),
              kRemedy);
  const auto at = row.find<std::int64_t>("maxValueTokenIndex");
  if (at && (*at < 0 || (*at >= static_cast<std::int64_t>(tokens.size()) && *at != 0)))
    bad_input(row.where(), fmt::format("maxValueTokenIndex: there is no token {}", *at), kRemedy);

  ActivationRow result;
  Exemplar& exemplar = result.exemplar;
  Window& window = exemplar.window;
  Json rest = row.json();
  rest.erase("tokens");
  bool exact = true;
  window.starts = {0};
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    window.ids.push_back(-1);
    window.text += tokens[i];
    window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
    window.activation.push_back(float_of(values[i], row.where()));
    exact = exact && short_double(window.activation.back()) == values[i];
  }
  if (exact) rest.erase("values");  // the window holds them
  if (const auto own = row.find_object(kOwn)) {
    exemplar.use = parse_use(own->get<std::string>("use"));
    exemplar.kind = parse_window_kind(own->get<std::string>("kind"));
    exemplar.level = static_cast<int>(own->get<std::int64_t>("level"));
    const std::string document = own->get<std::string>("document");
    std::from_chars(document.data(), document.data() + document.size(), window.document, 16);
    window.position = static_cast<std::int32_t>(own->get<std::int64_t>("position"));
    window.text = own->get<std::string>("text");
    const auto ids = own->get<std::vector<std::int64_t>>("ids");
    const auto starts = own->get<std::vector<std::int64_t>>("starts");
    if (ids.size() != tokens.size() || starts.size() != tokens.size() + 1 || starts[0] < 0 ||
        !std::is_sorted(starts.begin(), starts.end()) ||
        starts.back() > static_cast<std::int64_t>(window.text.size()))
      bad_input(own->where(), "the tokens do not lie in the text", kRemedy);
    window.ids.assign(ids.begin(), ids.end());
    window.starts.assign(starts.begin(), starts.end());
    result.extra = "{}";
    return result;
  }
  // SAEDashboard: the top group has binMin -1, or none.
  const double bin_min = row.find<double>("binMin").value_or(-1);
  exemplar.kind = bin_min < 0 ? WindowKind::top : WindowKind::level;
  exemplar.level = activation_level(window.max_activation(), max_activation);
  // Explanations elsewhere may have been written from any of them, so none may be scored on.
  exemplar.use = Use::explain;
  result.extra = dump_json(Json{{"neuronpedia", rest}});
  return result;
}

Json row_of(const Exemplar& exemplar, const std::string& extra, const FeatureRecord& record,
            const Place& place, std::size_t number) {
  const Window& window = exemplar.window;
  Json row = kept_row(extra);
  const bool ours = row.empty();
  row["tokens"] = Json::array();
  for (std::size_t t = 0; t < window.n_tokens(); ++t)
    row["tokens"].push_back(std::string(window.token(t)));
  if (!row.contains("values")) row["values"] = numbers(window.activation);
  if (ours) {
    const auto most = std::max_element(window.activation.begin(), window.activation.end());
    const auto least = std::min_element(window.activation.begin(), window.activation.end());
    const bool empty = window.activation.empty();
    row["id"] = id_of(place, "activation", number);
    row["creatorId"] = kCreator;
    row["dataSource"] = "";
    row["maxValue"] = empty ? 0 : short_double(*most);
    row["minValue"] = empty ? 0 : short_double(*least);
    row["maxValueTokenIndex"] = most - window.activation.begin();
    row["dfaValues"] = Json::array();
    row["dfaMaxValue"] = row["dfaTargetIndex"] = nullptr;
    const bool is_top = exemplar.kind == WindowKind::top;
    const double step = record.quantile / kMaxLevel;
    row["binMin"] = is_top ? -1 : std::max(0.0, (exemplar.level - 0.5) * step);
    row["binMax"] = is_top ? short_double(record.max_activation) : (exemplar.level + 0.5) * step;
    row["binContains"] = is_top ? Json(-1) : Json(nullptr);
    row[kOwn] = {{"use", to_string(exemplar.use)},
                 {"kind", to_string(exemplar.kind)},
                 {"level", exemplar.level},
                 {"document", fmt::format("{:016x}", window.document)},
                 {"position", window.position},
                 {"text", window.text},
                 {"ids", window.ids},
                 {"starts", window.starts}};
  }
  put_place(row, place);
  return row;
}

ExplanationWithScores explanation_of(const JsonObject& row) {
  ExplanationWithScores item;
  Explanation& explanation = item.explanation;
  const std::string id = row.get<std::string>("id");
  const auto text = row.find<std::string>("description");
  explanation.key = {row.get_or<std::string>("typeName", "neuronpedia"),
                     row.get_or<std::string>("explanationModelName", ""), "en", "neuronpedia:" + id,
                     0};
  explanation.status = text ? TextStatus::ok : TextStatus::absent;
  explanation.short_text = text.value_or("");
  if (const auto own = row.find_object(kOwn)) {
    explanation.key.language = own->get<std::string>("language");
    explanation.key.prompt_hash = own->get<std::string>("prompt_hash");
    explanation.reason = own->get_or<std::string>("reason", "");
    const std::string seed = own->get<std::string>("seed");
    std::from_chars(seed.data(), seed.data() + seed.size(), explanation.key.seed);
    explanation.status = parse_text_status(own->get<std::string>("status"));
    explanation.long_text = own->get<std::string>("long_text");
    explanation.lexicon = own->get<std::string>("lexicon");
    explanation.raw = own->get<std::string>("raw");
  } else {
    Json rest = row.json();
    rest.erase("scores");
    explanation.raw = dump_json(rest);
  }
  // null in the rows without a score among others that have some: all of a batch have the same
  // keys.
  const Json scores = row.contains("scores") ? row.json()["scores"] : Json::array();
  if (!scores.is_array()) bad_input(row.where(), "scores: expected a list", kRemedy);
  for (const Json& one : scores) {
    const JsonObject object(one, row.where() + ": scores");
    Score score;
    score.key.scorer = object.get<std::string>("explanationScoreTypeName");
    score.key.simulator = object.get_or<std::string>("explanationScoreModelName", "");
    score.value = object.find<double>("value").value_or(kUnknown);
    score.details = object.get_or<std::string>("jsonDetails", "{}");
    if (const auto own = object.find_object(kOwn)) {
      const auto number = [&](const char* key) {
        return own->find<double>(key).value_or(kUnknown);
      };
      score.low = number("low");
      score.high = number("high");
      score.floor = number("floor");
      score.n_windows = own->get<std::int64_t>("n_windows");
      score.n_units = own->get<std::int64_t>("n_units");
      score.n_unparsable = own->get<std::int64_t>("n_unparsable");
      score.n_refused = own->get<std::int64_t>("n_refused");
      score.n_failed = own->get<std::int64_t>("n_failed");
      score.key.prompt_hash = own->get<std::string>("prompt_hash");
      const auto seed = own->get_or<std::string>("seed", "0");
      std::from_chars(seed.data(), seed.data() + seed.size(), score.key.seed);
      score.key.windows = own->get_or<std::int64_t>("windows", 0);
      score.key.batch = own->get_or<std::int64_t>("batch", 0);
      score.key.questions = own->get_or<std::string>("questions", "");
      for (const Json& simulated : own->json().value("simulations", Json::array()))
        score.simulations.push_back(
            simulation_of(JsonObject(simulated, own->where() + ": simulations")));
    }
    item.scores.push_back(std::move(score));
  }
  return item;
}

Json row_of(const ExplanationWithScores& item, const FeatureEntry& entry, const Place& place) {
  const Explanation& explanation = item.explanation;
  const auto number = number_or_null;
  Json row;
  if (explanation.key.prompt_hash.starts_with("neuronpedia:")) {
    row = parse_json(explanation.raw, "what the atlas keeps of an explanation");
  } else {
    row["id"] = id_of(place, "explanation", static_cast<std::size_t>(explanation.id));
    row["authorId"] = kCreator;
    row["description"] = explanation.short_text;
    row["embedding"] = nullptr;
    row["typeName"] = explanation.key.explainer;
    row["explanationModelName"] = explanation.key.model;
    row["umap_x"] = number(entry.x);
    row["umap_y"] = number(entry.y);
    row["umap_cluster"] = nullptr;
    row["umap_log_feature_sparsity"] =
        number(entry.record.n_active == 0 ? kUnknown : std::log10(entry.record.density()));
    row[kOwn] = {{"language", explanation.key.language},
                 {"prompt_hash", explanation.key.prompt_hash},
                 {"seed", std::to_string(explanation.key.seed)},
                 {"status", to_string(explanation.status)},
                 {"reason", explanation.reason},
                 {"long_text", explanation.long_text},
                 {"lexicon", explanation.lexicon},
                 {"raw", explanation.raw}};
  }
  if (!item.scores.empty() || row.contains(kOwn)) row["scores"] = Json::array();
  for (const Score& score : item.scores)
    row["scores"].push_back({{"value", number(score.value)},
                             {"explanationScoreTypeName", score.key.scorer},
                             {"explanationScoreModelName", score.key.simulator},
                             {"jsonDetails", score.details},
                             {kOwn,
                              {{"low", number(score.low)},
                               {"high", number(score.high)},
                               {"floor", number(score.floor)},
                               {"n_windows", score.n_windows},
                               {"n_units", score.n_units},
                               {"n_unparsable", score.n_unparsable},
                               {"n_refused", score.n_refused},
                               {"n_failed", score.n_failed},
                               {"prompt_hash", score.key.prompt_hash},
                               {"seed", std::to_string(score.key.seed)},
                               {"windows", score.key.windows},
                               {"batch", score.key.batch},
                               {"questions", score.key.questions},
                               {"simulations", json_of(score.simulations)}}}});
  put_place(row, place);
  return row;
}

}  // namespace safesail::neuronpedia
