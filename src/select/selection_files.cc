#include "select/selection_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "formats/byte_stream.h"
#include "formats/line_reader.h"
#include "model/site.h"

namespace safesail {
namespace {

using nlohmann::json;

json interval_of(const Estimate& estimate) {
  return {estimate.low, estimate.high};
}

json to_json(const NullComparison& value) {
  return {{"value", value.observed.value}, {"interval", interval_of(value.observed)},
          {"null", value.null_mean},       {"null_interval", {value.null_low, value.null_high}},
          {"excess", value.excess.value},  {"excess_interval", interval_of(value.excess)}};
}

json estimate_of(const Estimate& estimate) {
  return {{"value", estimate.value}, {"low", estimate.low}, {"high", estimate.high}};
}

json to_json(const Precision& precision) {
  const auto share = [&](const Estimate& of_accepted) {
    return precision.n_accepted == 0 ? json() : estimate_of(of_accepted);
  };
  return {{"accepted", precision.n_accepted},
          {"replicated", precision.n_replicated},
          {"share_replicated", share(precision.replicated())},
          {"specific", precision.n_specific},
          {"share_specific", share(precision.specific())}};
}

std::string metrics_line(const SaeSelection& sae, const Concept& concept_,
                         const ConceptSelection& selection) {
  const ConceptMetrics& metrics = selection.metrics;
  json line{
      {"sae", sae.name},
      {"site", sae.id.site},
      {"architecture", sae.id.architecture},
      {"k", sae.id.k},
      {"n_features", sae.id.n_features},
      {"seed", sae.id.seed},
      {"concept", concept_.name},
      {"domain", concept_.domain},
      {"subclass", concept_.subclass},
      {"language", concept_.language},
      {"n_pairs", metrics.n_pairs},
      {"i_cdf", to_json(metrics.i_cdf)},
      {"reverse_i_cdf",
       {{"value", metrics.reverse_i_cdf.value}, {"interval", interval_of(metrics.reverse_i_cdf)}}},
      {"p", metrics.p_value},
      {"q", selection.q},
      {"n_tested", selection.tested.size()},
      {"n_candidates", selection.candidates.size()},
      {"l0_t", json::array()}};
  for (std::size_t t = 0; t < kThresholds.size(); ++t) {
    json entry = to_json(metrics.l0_t[t]);
    entry["t"] = kThresholds[t];
    line["l0_t"].push_back(std::move(entry));
  }
  return dump_json(line) + "\n";
}

/// Of a domain so many tested features are listed that false discovery control did not accept.
constexpr std::size_t kNextBest = 20;

std::vector<FeatureContrast> next_best(const ConceptSelection& concept_) {
  std::vector<FeatureContrast> others;
  for (const FeatureContrast& contrast : concept_.tested)
    if (std::ranges::find(concept_.candidates, contrast.feature, &FeatureContrast::feature) ==
            concept_.candidates.end() &&
        contrast.n_forward > contrast.n_reverse)
      others.push_back(contrast);
  std::ranges::sort(others, {}, [](const FeatureContrast& contrast) {
    return std::tuple(contrast.p, -contrast.n_forward, contrast.feature);
  });
  if (others.size() > kNextBest) others.resize(kNextBest);
  return others;
}

std::string candidate_line(const SaeSelection& sae, const std::vector<Concept>& concepts,
                           std::size_t c, const FeatureContrast& contrast, bool accepted) {
  const Concept& concept_ = concepts[c];
  const auto share = [&](std::int64_t n) {
    return static_cast<double>(n) / static_cast<double>(concept_.pairs.size());
  };
  json line{{"sae", sae.name},
            {"feature", fmt::format("{}:{}", sae.id.site, contrast.feature)},
            {"index", contrast.feature},
            {"concept", concept_.name},
            {"domain", concept_.domain},
            {"subclass", concept_.subclass},
            {"language", concept_.language},
            {"n_pairs", concept_.pairs.size()},
            {"n_forward", contrast.n_forward},
            {"n_reverse", contrast.n_reverse},
            {"f", share(contrast.n_forward)},
            {"reverse", share(contrast.n_reverse)},
            {"n_firing", contrast.n_firing},
            {"rival", nullptr},
            {"rival_forward", nullptr},
            {"rival_firing", nullptr},
            {"n_rival_pairs", nullptr},
            {"p_contrast", contrast.p_contrast},
            {"p_specific", nullptr},
            {"p", contrast.p},
            {"q", contrast.q},
            {"effect", contrast.effect},
            {"accepted", accepted},
            {"held_out", to_json(contrast.held_out)}};
  if (contrast.rival >= 0) {
    const Concept& rival = concepts[static_cast<std::size_t>(contrast.rival)];
    line["rival"] = rival.name;
    line["rival_forward"] = contrast.rival_forward;
    line["rival_firing"] = contrast.rival_firing;
    line["n_rival_pairs"] = rival.pairs.size();
    line["p_specific"] = contrast.p_specific;
  }
  return dump_json(line) + "\n";
}

json to_json(const Ranked& ranked, const std::vector<SaeSelection>& saes) {
  const Configuration& configuration = ranked.configuration;
  json result{{"architecture", configuration.architecture},
              {"k", configuration.k},
              {"n_features", configuration.n_features},
              {"transcoder", configuration.transcoder},
              {"run", configuration.run},
              {"seed", saes[ranked.saes.front()].id.seed},
              {"saes", json::array()},
              {"excess", ranked.excess.value},
              {"excess_interval", interval_of(ranked.excess)},
              {"behind", ranked.behind.value},
              {"behind_interval", interval_of(ranked.behind)},
              {"n_sites", ranked.n_sites},
              {"n_seeds", ranked.n_seeds},
              {"l0", ranked.mean_l0},
              {"fvu", ranked.mean_fvu}};
  for (const std::size_t sae : ranked.saes) result["saes"].push_back(saes[sae].name);
  return result;
}

json to_json(const FeatureSelection& selection) {
  const Recommendation& recommendation = selection.recommendation;
  const std::vector<SaeSelection>& saes = selection.saes;
  json result{{"chosen", to_json(recommendation.recommended(), saes)},
              {"reason", recommendation.reason},
              {"n_pairs", selection.split.choosing.size()},
              {"n_held_out", selection.split.held_out.size()},
              {"precision", nullptr},
              {"floor", nullptr},
              {"ranking", json::array()},
              {"incomplete", recommendation.incomplete}};
  if (!selection.split.held_out.empty()) {
    result["precision"] = to_json(selection.precision());
    if (selection.floor) result["floor"] = to_json(*selection.floor);
  }
  for (const Ranked& ranked : recommendation.ranking)
    result["ranking"].push_back(to_json(ranked, saes));
  return result;
}

/// "15" of "mlp_out.15".
std::string layer_of(const std::string& site) {
  return site.substr(site.find('.') + 1);
}

Estimate parse_estimate(const JsonObject& object, std::string_view key) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();  // null
  const JsonObject estimate = object.object(key);
  return {.value = estimate.get_or("value", kUnknown),
          .low = estimate.get_or("low", kUnknown),
          .high = estimate.get_or("high", kUnknown)};
}

Replication parse_replication(const JsonObject& object) {
  return {.n_pairs = static_cast<std::size_t>(object.get_positive("n_pairs")),
          .twins = parse_estimate(object, "auroc_twins"),
          .others = parse_estimate(object, "auroc_others"),
          .top_token = object.get<std::string>("top_token"),
          .n_without = static_cast<std::size_t>(object.get<std::int64_t>("n_without")),
          .without = parse_estimate(object, "auroc_without")};
}

Candidate parse_candidate(const JsonObject& line) {
  Candidate candidate{.sae = line.get<std::string>("sae"),
                      .concept_ = line.get<std::string>("concept"),
                      .domain = line.get<std::string>("domain"),
                      .subclass = line.get<std::string>("subclass"),
                      .language = line.get<std::string>("language"),
                      .contrast = {},
                      .rival = line.get_or<std::string>("rival", ""),
                      .n_pairs = line.get_positive("n_pairs")};
  const auto index = line.get<std::int64_t>("index");
  if (index < 0 || index > std::numeric_limits<std::int32_t>::max())
    bad_input(line.where(), fmt::format("expected a feature's index, got {}", index),
              "select again: --force select");
  candidate.contrast = {.feature = static_cast<std::int32_t>(index),
                        .n_forward = line.get<std::int64_t>("n_forward"),
                        .n_reverse = line.get<std::int64_t>("n_reverse"),
                        .n_firing = line.get<std::int64_t>("n_firing"),
                        .rival_forward = line.get_or<std::int64_t>("rival_forward", 0),
                        .rival_firing = line.get_or<std::int64_t>("rival_firing", 0),
                        .p_contrast = line.get<double>("p_contrast"),
                        .p_specific = line.get_or<double>("p_specific", 0),
                        .p = line.get<double>("p"),
                        .q = line.get<double>("q"),
                        .effect = line.get<double>("effect")};
  candidate.accepted = line.get<bool>("accepted");
  if (const auto held_out = line.find_object("held_out"))
    candidate.contrast.held_out = parse_replication(*held_out);
  return candidate;
}

}  // namespace

Json to_json(const Replication& replication) {
  if (replication.n_pairs == 0) return nullptr;
  return {{"n_pairs", replication.n_pairs},
          {"auroc_twins", estimate_of(replication.twins)},
          {"auroc_others", estimate_of(replication.others)},
          {"top_token", replication.top_token},
          {"n_without", replication.n_without},
          {"auroc_without", estimate_of(replication.without)},
          {"one_word", replication.is_one_word()},
          {"replicates", replication.replicates()},
          {"specific", replication.is_specific()}};
}

void write_selection(const fs::path& folder, const FeatureSelection& selection,
                     const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string metrics, candidates;
  json lists = json::object();
  for (const SaeSelection& sae : selection.saes)
    for (std::size_t c = 0; c < selection.concepts.size(); ++c) {
      const Concept& concept_ = selection.concepts[c];
      const ConceptSelection& own = sae.concepts[c];
      metrics += metrics_line(sae, concept_, own);
      for (const FeatureContrast& contrast : own.candidates) {
        candidates += candidate_line(sae, selection.concepts, c, contrast, true);
        lists[sae.name][concept_.name + " " + concept_.language].push_back(
            fmt::format("{}_{}", layer_of(sae.id.site), contrast.feature));
      }
      if (!concept_.subclass.empty()) continue;
      for (const FeatureContrast& contrast : next_best(own))
        candidates += candidate_line(sae, selection.concepts, c, contrast, false);
    }
  write_file(folder / "metrics.jsonl", metrics);
  write_file(folder / "candidates.jsonl", candidates);
  write_file(folder / "lists.json", dump_json(lists, {.indent = 1}) + "\n");
  write_file(folder / "report.html", selection_html(selection, facts));
  write_file(folder / "recommendation.json", dump_json(to_json(selection), {.indent = 1}) + "\n");
}

SelectionResult read_selection(const fs::path& folder) {
  const fs::path path = folder / "recommendation.json";
  if (!fs::exists(path))
    bad_input(path.string(), "nothing has been selected there yet",
              "select features first: safesail select");
  const Json json = read_json(path);
  const JsonObject top(json, path.string());
  const JsonObject chosen = top.object("chosen");
  SelectionResult result{.chosen = chosen.get<std::vector<std::string>>("saes"),
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
