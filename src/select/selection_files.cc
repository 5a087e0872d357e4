#include "select/selection_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "formats/byte_stream.h"
#include "formats/json.h"
#include "formats/line_reader.h"
#include "model/site.h"

namespace safesail {
namespace {

using nlohmann::json;

json to_json(const AgainstNull& value) {
  return {{"value", value.observed.value},
          {"interval", {value.observed.low, value.observed.high}},
          {"null", value.null_mean},
          {"null_interval", {value.null_low, value.null_high}}};
}

std::string metrics_line(const SaeSelection& sae, const Concept& one,
                         const ConceptMetrics& metrics) {
  json line{{"sae", sae.name},
            {"site", sae.id.site},
            {"architecture", sae.id.architecture},
            {"k", sae.id.k},
            {"n_features", sae.id.n_features},
            {"seed", sae.id.seed},
            {"concept", one.name},
            {"domain", one.domain},
            {"subclass", one.subclass},
            {"language", one.language},
            {"n_pairs", metrics.n_pairs},
            {"i_cdf", to_json(metrics.i_cdf)},
            {"reverse_i_cdf",
             {{"value", metrics.reverse_i_cdf.value},
              {"interval", {metrics.reverse_i_cdf.low, metrics.reverse_i_cdf.high}}}},
            {"p", metrics.p_value},
            {"n_tested", metrics.tested.size()},
            {"n_candidates", metrics.candidates.size()},
            {"l0_t", json::array()}};
  for (std::size_t t = 0; t < kThresholds.size(); ++t) {
    json entry = to_json(metrics.l0_t[t]);
    entry["t"] = kThresholds[t];
    line["l0_t"].push_back(std::move(entry));
  }
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

/// Of a domain so many tested features are listed that false discovery control did not accept.
constexpr std::size_t kNextBest = 20;

std::vector<FeatureContrast> next_best(const ConceptMetrics& metrics) {
  std::vector<FeatureContrast> others;
  for (const FeatureContrast& contrast : metrics.tested)
    if (std::ranges::find(metrics.candidates, contrast.feature, &FeatureContrast::feature) ==
            metrics.candidates.end() &&
        contrast.n_forward > contrast.n_reverse)
      others.push_back(contrast);
  std::ranges::sort(others, {}, [](const FeatureContrast& contrast) {
    return std::tuple(contrast.p, -contrast.n_forward, contrast.feature);
  });
  if (others.size() > kNextBest) others.resize(kNextBest);
  return others;
}

std::string candidate_line(const SaeSelection& sae, const Concept& one, std::size_t n_pairs,
                           const FeatureContrast& contrast, bool accepted) {
  const auto share = [&](std::int64_t n) {
    return static_cast<double>(n) / static_cast<double>(n_pairs);
  };
  return json{{"sae", sae.name},
              {"feature", fmt::format("{}:{}", sae.id.site, contrast.feature)},
              {"index", contrast.feature},
              {"concept", one.name},
              {"domain", one.domain},
              {"subclass", one.subclass},
              {"language", one.language},
              {"n_pairs", n_pairs},
              {"n_forward", contrast.n_forward},
              {"n_reverse", contrast.n_reverse},
              {"f", share(contrast.n_forward)},
              {"reverse", share(contrast.n_reverse)},
              {"p", contrast.p},
              {"q", contrast.q},
              {"effect", contrast.effect},
              {"accepted", accepted}}
             .dump(-1, ' ', false, json::error_handler_t::replace) +
         "\n";
}

json to_json(const Configuration& configuration) {
  return {{"architecture", configuration.architecture},
          {"k", configuration.k},
          {"n_features", configuration.n_features},
          {"seed", configuration.seed}};
}

json to_json(const Recommendation& recommendation) {
  json result{{"chosen", to_json(recommendation.chosen)},
              {"reason", recommendation.reason},
              {"ranking", json::array()}};
  for (const Ranked& ranked : recommendation.ranking) {
    json entry = to_json(ranked.configuration);
    entry["excess"] = ranked.excess.value;
    entry["excess_interval"] = {ranked.excess.low, ranked.excess.high};
    entry["n_sites"] = ranked.n_sites;
    entry["l0"] = ranked.mean_l0;
    entry["fvu"] = ranked.mean_fvu;
    result["ranking"].push_back(std::move(entry));
  }
  return result;
}

/// "15" of "mlp_out.15".
std::string layer_of(const std::string& site) {
  return site.substr(site.find('.') + 1);
}

Candidate parse_candidate(const JsonObject& line) {
  Candidate candidate{.sae = line.get<std::string>("sae"),
                      .concept_ = line.get<std::string>("concept"),
                      .domain = line.get<std::string>("domain"),
                      .subclass = line.get<std::string>("subclass"),
                      .language = line.get<std::string>("language"),
                      .contrast = {},
                      .n_pairs = line.get_positive("n_pairs")};
  const auto index = line.get<std::int64_t>("index");
  if (index < 0 || index > std::numeric_limits<std::int32_t>::max())
    bad_input(line.where(), fmt::format("expected a feature's index, got {}", index),
              "select again: --force select");
  candidate.contrast = {.feature = static_cast<std::int32_t>(index),
                        .n_forward = line.get<std::int64_t>("n_forward"),
                        .n_reverse = line.get<std::int64_t>("n_reverse"),
                        .p = line.get<double>("p"),
                        .q = line.get<double>("q"),
                        .effect = line.get<double>("effect")};
  candidate.accepted = line.get<bool>("accepted");
  return candidate;
}

}  // namespace

void write_selection(const fs::path& folder, const FeatureSelection& selection,
                     const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string metrics, candidates;
  json lists = json::object();
  for (const SaeSelection& sae : selection.saes)
    for (std::size_t c = 0; c < selection.concepts.size(); ++c) {
      const Concept& one = selection.concepts[c];
      metrics += metrics_line(sae, one, sae.concepts[c]);
      for (const FeatureContrast& contrast : sae.concepts[c].candidates) {
        candidates += candidate_line(sae, one, sae.concepts[c].n_pairs, contrast, true);
        lists[sae.name][one.name + " " + one.language].push_back(
            fmt::format("{}_{}", layer_of(sae.id.site), contrast.feature));
      }
      if (!one.subclass.empty()) continue;
      for (const FeatureContrast& contrast : next_best(sae.concepts[c]))
        candidates += candidate_line(sae, one, sae.concepts[c].n_pairs, contrast, false);
    }
  write_file(folder / "metrics.jsonl", metrics);
  write_file(folder / "candidates.jsonl", candidates);
  write_file(folder / "lists.json", lists.dump(1) + "\n");
  write_file(folder / "report.html", selection_html(selection, facts));
  write_file(folder / "recommendation.json", to_json(selection.recommendation).dump(1) + "\n");
}

SelectionResult read_selection(const fs::path& folder) {
  const fs::path path = folder / "recommendation.json";
  if (!fs::exists(path))
    bad_input(path.string(), "nothing has been selected there yet",
              "select features first: safesail select");
  const Json json = read_json(path);
  const JsonObject top(json, path.string());
  const JsonObject chosen = top.object("chosen");
  SelectionResult result{
      .chosen = {.architecture = chosen.get<std::string>("architecture"),
                 .k = chosen.get<std::int64_t>("k"),
                 .n_features = chosen.get_positive("n_features"),
                 .seed = static_cast<std::uint64_t>(chosen.get<std::int64_t>("seed"))},
      .reason = top.get<std::string>("reason"),
      .candidates = {}};
  LineReader lines{ByteStream(folder / "candidates.jsonl")};
  while (const auto text = lines.next()) {
    const Json line = parse_json(*text, lines.where());
    result.candidates.push_back(parse_candidate(JsonObject(line, lines.where())));
  }
  return result;
}

}  // namespace safesail
