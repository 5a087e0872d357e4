#include "run/run_report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <set>

#include "base/hash.h"
#include "formats/byte_stream.h"
#include "formats/json.h"
#include "formats/line_reader.h"
#include "select/selection.h"
#include "train/training_curves.h"

namespace safesail {
namespace {

constexpr std::array kFiles = {"evaluation.jsonl", "metrics.jsonl", "select/metrics.jsonl",
                               "select/recommendation.json"};
/// More SAEs and concepts than any run has.
constexpr std::size_t kMaxLines = 100'000;

/// The objects of a file of lines; none where there is no file.
std::vector<Json> read_lines(const fs::path& path) {
  std::vector<Json> all;
  if (!fs::exists(path)) return all;
  LineReader lines{ByteStream(path)};
  while (const auto line = lines.next()) {
    if (all.size() == kMaxLines) break;
    all.push_back(parse_json(*line, lines.where()));
    JsonObject(all.back(), lines.where());
  }
  return all;
}

/// A value of ours, null where it is missing.
Json field(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

/// {"value", "low", "high"} from a value and its interval; null where there is no value.
Json estimate(const Json& value, const Json& interval) {
  if (!value.is_number()) return nullptr;
  const bool has = interval.is_array() && interval.size() == 2;
  return {
      {"value", value}, {"low", has ? interval[0] : Json()}, {"high", has ? interval[1] : Json()}};
}

Json estimate_of(const Json& line, const std::string& name) {
  return estimate(field(line, name.c_str()), field(line, (name + "_interval").c_str()));
}

/// 15 of "mlp_out.15".
Json layer_of(std::string_view site) {
  std::int32_t layer = 0;
  const char* const begin = site.data() + site.find('.') + 1;
  const char* const end = site.data() + site.size();
  return std::from_chars(begin, end, layer).ptr == end ? Json(layer) : Json();
}

SaeIdentity identity_of(const Json& line) {
  const JsonObject object(line, "evaluation.jsonl");
  return {.site = object.get<std::string>("site"),
          .output_site = object.get<std::string>("output_site"),
          .architecture = object.get<std::string>("architecture"),
          .k = object.get<std::int64_t>("k"),
          .n_features = object.get<std::int64_t>("n_features"),
          .seed = static_cast<std::uint64_t>(object.get<std::int64_t>("seed")),
          .path = object.get<std::string>("path")};
}

Json cell_of(const Json& line, const SaeIdentity& id) {
  return {{"sae", sae_name(id)},
          {"site", id.site},
          {"output_site", id.output_site},
          {"layer", layer_of(id.output_site)},
          {"architecture", id.architecture},
          {"k", id.k},
          {"n_features", id.n_features},
          {"seed", id.seed},
          {"n_tokens", field(line, "n_tokens")},
          {"fvu", estimate_of(line, "fvu")},
          {"l0", estimate_of(line, "l0")},
          {"delta_ce", estimate_of(line, "delta_loss")},
          {"kl", estimate_of(line, "kl")},
          {"loss_recovered", estimate_of(line, "loss_recovered")},
          {"dead_share", field(line, "dead_share")},
          {"cosine", field(line, "cosine")}};
}

/// A value against its null, as select/metrics.jsonl has it.
Json null_of(const Json& metric) {
  return estimate(field(metric, "null"), field(metric, "null_interval"));
}

Json metric_of(const Json& line) {
  const Json i_cdf = field(line, "i_cdf"), reverse = field(line, "reverse_i_cdf");
  Json l0t = Json::array();
  for (const Json& at : field(line, "l0_t")) {
    Json entry = estimate(field(at, "value"), field(at, "interval"));
    const Json null = null_of(at);
    entry["t"] = field(at, "t");
    entry["null"] = field(null, "value");
    entry["null_low"] = field(null, "low");
    entry["null_high"] = field(null, "high");
    l0t.push_back(std::move(entry));
  }
  return {{"sae", field(line, "sae")},
          {"concept", field(line, "concept")},
          {"domain", field(line, "domain")},
          {"subclass", field(line, "subclass")},
          {"language", field(line, "language")},
          {"n_pairs", field(line, "n_pairs")},
          {"p", field(line, "p")},
          {"i_cdf", estimate(field(i_cdf, "value"), field(i_cdf, "interval"))},
          {"null", null_of(i_cdf)},
          {"reverse", estimate(field(reverse, "value"), field(reverse, "interval"))},
          {"l0t", std::move(l0t)},
          {"n_tested", field(line, "n_tested")},
          {"n_accepted", field(line, "n_candidates")}};
}

Json selection_of(const fs::path& folder) {
  const fs::path path = folder / "recommendation.json";
  if (!fs::exists(path)) return nullptr;
  const Json recommendation = read_json(path);
  const JsonObject object(recommendation, path.string());
  Json metrics = Json::array();
  std::set<std::string> concepts;
  for (const Json& line : read_lines(folder / "metrics.jsonl")) {
    concepts.insert(JsonObject(line, "select/metrics.jsonl").get<std::string>("concept"));
    metrics.push_back(metric_of(line));
  }
  const Json& chosen = object.object("chosen").json();
  return {{"chosen",
           {{"architecture", field(chosen, "architecture")},
            {"k", field(chosen, "k")},
            {"n_features", field(chosen, "n_features")},
            {"seed", field(chosen, "seed")}}},
          {"reason", object.get<std::string>("reason")},
          {"precision", field(recommendation, "precision")},
          {"floor", field(recommendation, "floor")},
          {"ranking", field(recommendation, "ranking")},
          {"concepts", concepts},
          {"metrics", std::move(metrics)}};
}

Json curve_of(const TrainingCurve& curve, const std::string& name) {
  Json json{{"sae", name},
            {"tokens", Json::array()},
            {"loss", Json::array()},
            {"fvu", Json::array()},
            {"l0", Json::array()}};
  for (const TrainingPoint& point : curve.points) {
    json["tokens"].push_back(point.tokens);
    json["loss"].push_back(point.loss);
    json["fvu"].push_back(point.fvu);
    json["l0"].push_back(point.l0);
  }
  return json;
}

}  // namespace

Json run_report(const fs::path& run) {
  std::vector<SaeIdentity> evaluated;
  Json cells = Json::array(), curves = Json::array();
  for (const Json& line : read_lines(run / "evaluation.jsonl")) {
    evaluated.push_back(identity_of(line));
    cells.push_back(cell_of(line, evaluated.back()));
  }
  for (const TrainingCurve& curve : read_training_curves(run / "metrics.jsonl")) {
    const auto known = std::ranges::find_if(evaluated, [&](const SaeIdentity& id) {
      return alike(id, curve.id) && id.seed == curve.id.seed;
    });
    curves.push_back(curve_of(curve, known != evaluated.end()
                                         ? sae_name(*known)
                                         : site_name(curve.id) + "/" + short_name(curve.id)));
  }
  return {{"name", fs::absolute(run).lexically_normal().filename().string()},
          {"cells", std::move(cells)},
          {"selection", selection_of(run / "select")},
          {"curves", std::move(curves)}};
}

std::string run_version(const fs::path& run) {
  std::string all;
  for (const char* file : kFiles) {
    std::error_code none;
    const auto written = fs::last_write_time(run / file, none);
    const auto size = none ? 0 : fs::file_size(run / file, none);
    all += fmt::format("{} {};", none ? 0 : written.time_since_epoch().count(), size);
  }
  return hash_hex(all);
}

}  // namespace safesail
