#include <fmt/format.h>

#include "atlas/atlas.h"
#include "atlas/blobs.h"
#include "atlas/feature_table.h"
#include "atlas/natural_number.h"
#include "atlas/record_rows.h"
#include "atlas/score_measure.h"
#include "base/error.h"

namespace safesail {
namespace {

constexpr std::string_view kListThem = "see `safesail atlas list`";

constexpr std::string_view kScores =
    "SELECT id, scorer, simulator, prompt_hash, seed, windows, batch, questions, value, low, high, "
    "floor, n_windows, n_units, n_unparsable, n_refused, n_failed, details, created FROM scores "
    "WHERE explanation_id = ?1 ";

Score score_of(const Query& row) {
  Score score;
  score.id = row.integer(0);
  score.key = {std::string(row.text(1)), std::string(row.text(2)),
               std::string(row.text(3)), static_cast<std::uint64_t>(row.integer(4)),
               row.integer(5),           row.integer(6),
               std::string(row.text(7))};
  score.value = row.real(8);
  score.low = row.real(9);
  score.high = row.real(10);
  score.floor = row.real(11);
  score.n_windows = row.integer(12);
  score.n_units = row.integer(13);
  score.n_unparsable = row.integer(14);
  score.n_refused = row.integer(15);
  score.n_failed = row.integer(16);
  score.details = row.text(17);
  score.created = row.integer(18);
  return score;
}

/// From "id, explainer, model, language, prompt_hash, seed, status, short_text, long_text, lexicon,
/// raw, request_hash, reason, created".
Explanation explanation_of(const Query& row) {
  Explanation explanation;
  explanation.id = row.integer(0);
  explanation.key = {std::string(row.text(1)), std::string(row.text(2)), std::string(row.text(3)),
                     std::string(row.text(4)), static_cast<std::uint64_t>(row.integer(5))};
  explanation.status = parse_text_status(row.text(6));
  explanation.short_text = row.text(7);
  explanation.long_text = row.text(8);
  explanation.lexicon = row.text(9);
  explanation.raw = row.text(10);
  explanation.request_hash = row.text(11);
  explanation.reason = row.text(12);
  explanation.created = row.integer(13);
  return explanation;
}

/// "mlp_out.17:16378": site (or name of the SAE) and index; "17_16378": layer and index.
struct FeatureName {
  std::string site;
  std::int32_t layer = -1;
  std::int32_t feature = -1;
};

std::optional<FeatureName> parse_feature_name(std::string_view name) {
  const std::size_t cut = name.find_last_of(":_");
  if (cut == std::string_view::npos) return std::nullopt;
  const std::optional<std::int32_t> feature = natural_number(name.substr(cut + 1));
  if (!feature) return std::nullopt;
  FeatureName parsed;
  parsed.feature = *feature;
  if (name[cut] == ':') {
    parsed.site = name.substr(0, cut);
    return parsed;
  }
  const std::optional<std::int32_t> layer = natural_number(name.substr(0, cut));
  if (!layer) return std::nullopt;
  parsed.layer = *layer;
  return parsed;
}

/// From "purpose, model, prompt, completion, cached and reasoning tokens, requests, money,
/// currency".
std::vector<Spending> sums_of(Query row) {
  std::vector<Spending> result;
  while (row.next())
    result.push_back({std::string(row.text(0)), std::string(row.text(1)), row.integer(2),
                      row.integer(3), row.integer(4), row.integer(5), row.integer(6), row.real(7),
                      std::string(row.text(8))});
  return result;
}

}  // namespace

fs::path atlas_path(const fs::path& run_or_file) {
  return fs::is_directory(run_or_file) ? run_or_file / "atlas.sqlite" : run_or_file;
}

const ScoreMeasure& Atlas::measure() {
  if (!measure_ || measure_->first != database_.version())
    measure_.emplace(database_.version(), read_measure(database_));
  return measure_->second;
}

std::vector<Spending> Atlas::spending() {
  return sums_of(database_.query(
      "SELECT purpose, model, sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), "
      "sum(reasoning_tokens), sum(requests), sum(money), currency FROM ledger "
      "GROUP BY purpose, model, currency ORDER BY purpose, model, currency"));
}

std::optional<std::string> Atlas::find_answer(std::string_view request_hash) {
  Query row = database_.query("SELECT response FROM answers WHERE request_hash = ?", request_hash);
  if (!row.next()) return std::nullopt;
  return std::string(row.text(0));
}

std::vector<std::int64_t> Atlas::features_lacking(const ExplanationKey& key, std::string_view sae,
                                                  std::size_t n_first) {
  std::vector<std::int64_t> ids;
  Query row = database_.query(
      "SELECT f.id FROM (SELECT f.id FROM features f JOIN saes s ON s.id = f.sae_id "
      "WHERE f.status = 'ok' AND (?1 = '' OR s.name = ?1) ORDER BY f.id LIMIT ?7) f "
      "WHERE NOT EXISTS (SELECT 1 FROM explanations e WHERE e.feature_id = f.id AND e.explainer = "
      "?2 AND "
      "e.model = ?3 AND e.language = ?4 AND e.prompt_hash = ?5 AND e.seed = ?6 AND "
      "e.status <> 'failed') ORDER BY f.id",
      sae, key.explainer, key.model, key.language, key.prompt_hash, key.seed,
      n_first == 0 ? std::int64_t{-1} : static_cast<std::int64_t>(n_first));
  while (row.next()) ids.push_back(row.integer(0));
  return ids;
}

std::vector<std::int64_t> Atlas::explanations(const ExplanationFilter& which) {
  std::vector<std::int64_t> ids;
  Query row = database_.query(
      "SELECT e.id FROM explanations e JOIN features f ON f.id = e.feature_id "
      "JOIN saes s ON s.id = f.sae_id "
      "WHERE e.status = 'ok' AND f.status = 'ok' AND (?1 = '' OR e.explainer = ?1) AND "
      "(?2 = '' OR e.model = ?2) AND (?3 = '' OR e.language = ?3) AND "
      "(?4 = '' OR e.prompt_hash = ?4) AND (?5 IS NULL OR e.seed = ?5) AND "
      "(?6 = '' OR s.name = ?6) ORDER BY e.id",
      which.explainer, which.model, which.language, which.prompt_hash, which.seed, which.sae);
  while (row.next()) ids.push_back(row.integer(0));
  return ids;
}

std::vector<ModelRow> Atlas::models() {
  std::vector<ModelRow> result;
  Query row = database_.query("SELECT name, details FROM models ORDER BY id");
  while (row.next()) result.push_back({std::string(row.text(0)), std::string(row.text(1))});
  return result;
}

std::vector<SaeRow> Atlas::saes() {
  std::vector<SaeRow> result;
  Query row = database_.query(
      "SELECT m.name, s.name, s.site, s.layer, s.architecture, s.n_features, s.details "
      "FROM saes s JOIN models m ON m.id = s.model_id ORDER BY s.id");
  while (row.next())
    result.push_back({std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2)),
                      static_cast<std::int32_t>(row.integer(3)), std::string(row.text(4)),
                      row.integer(5), std::string(row.text(6))});
  return result;
}

std::optional<std::int64_t> Atlas::find_sae(std::string_view model, std::string_view name) {
  return database_.find_integer(
      "SELECT s.id FROM saes s JOIN models m ON m.id = s.model_id WHERE m.name = ? AND s.name = ?",
      model, name);
}

std::vector<std::int64_t> Atlas::features_of(std::int64_t sae) {
  std::vector<std::int64_t> ids;
  Query row = database_.query("SELECT id FROM features WHERE sae_id = ? ORDER BY feature", sae);
  while (row.next()) ids.push_back(row.integer(0));
  return ids;
}

std::optional<std::int64_t> Atlas::find_feature(std::int64_t sae, std::int32_t feature) {
  return database_.find_integer("SELECT id FROM features WHERE sae_id = ? AND feature = ?", sae,
                                feature);
}

std::vector<NamedFeature> Atlas::features_named(std::string_view name, std::string_view sae) {
  std::vector<NamedFeature> found;
  const std::optional<FeatureName> parsed = parse_feature_name(name);
  if (!parsed) return found;
  Query row = database_.query(
      "SELECT f.id, s.name FROM saes s JOIN features f ON f.sae_id = s.id AND f.feature = ?1 "
      "WHERE (?2 = s.site OR ?2 = s.name OR ?3 = s.layer) AND (?4 = '' OR s.name = ?4) "
      "ORDER BY s.id",
      parsed->feature, parsed->site, parsed->layer, sae);
  while (row.next()) found.push_back({row.integer(0), std::string(row.text(1))});
  return found;
}

std::int64_t Atlas::feature_named(std::string_view name, std::string_view sae) {
  if (!parse_feature_name(name))
    bad_input(name, "expected a feature as mlp_out.17:16378 or 17_16378", kListThem);
  const std::vector<NamedFeature> found = features_named(name, sae);
  if (found.empty())
    bad_input(path().string(), fmt::format("there is no feature {}", name), kListThem);
  if (found.size() > 1)
    bad_input(path().string(),
              fmt::format("several SAEs have a feature {}: {}, {}{}", name, found[0].sae,
                          found[1].sae, found.size() > 2 ? "..." : ""),
              "name one of them with --sae");
  return found.front().id;
}

bool Atlas::has_feature(std::int64_t id) {
  return database_.find_integer("SELECT 1 FROM features WHERE id = ?", id).has_value();
}

double Atlas::density(std::int64_t feature) {
  Query row = database_.query("SELECT density FROM features WHERE id = ?", feature);
  return row.next() ? row.real(0) : kUnknown;
}

FeatureRecord Atlas::record(std::int64_t feature) {
  const Snapshot snapshot(database_);
  return read_record(database_, feature);
}

FeatureEntry Atlas::entry(std::int64_t feature) {
  const Snapshot snapshot(database_);
  FeatureEntry entry;
  entry.id = feature;
  entry.record = read_record(database_, feature);
  entry.extra = read_extra(database_, feature);
  Query row = database_.query(
      "SELECT m.name, s.layer, f.status, "
      "(SELECT c.value FROM scores c WHERE c.explanation_id = f.headline AND c.scorer = ?1 AND "
      "c.simulator = ?2 AND c.value IS NOT NULL ORDER BY c.windows DESC, c.id DESC LIMIT 1), "
      "f.effect, f.x, f.y FROM features f "
      "JOIN saes s ON s.id = f.sae_id JOIN models m ON m.id = s.model_id WHERE f.id = ?3",
      measure().scorer, measure().simulator, feature);
  row.next();
  entry.model = row.text(0);
  entry.layer = static_cast<std::int32_t>(row.integer(1));
  entry.status = row.text(2);
  entry.score = row.real(3);
  entry.effect = row.real(4);
  entry.x = row.real(5);
  entry.y = row.real(6);

  Query texts = database_.query(
      "SELECT id, explainer, model, language, prompt_hash, seed, status, short_text, long_text, "
      "lexicon, raw, request_hash, reason, created FROM explanations WHERE feature_id = ? ORDER BY "
      "id",
      feature);
  while (texts.next()) {
    Explanation explanation = explanation_of(texts);
    std::vector<Score> its_scores = scores(explanation.id);
    std::optional<Spending> cost = cost_of(explanation.request_hash);
    entry.explanations.push_back({std::move(explanation), std::move(its_scores), std::move(cost)});
  }
  Query tags = database_.query(
      "SELECT domain, subclass, source, evidence FROM tags WHERE feature_id = ? ORDER BY id",
      feature);
  while (tags.next())
    entry.tags.push_back({std::string(tags.text(0)), std::string(tags.text(1)),
                          std::string(tags.text(2)), std::string(tags.text(3))});
  Query pairs = database_.query(
      "SELECT concept, language, f, reverse, p, q, effect, n, accepted, held_out FROM pair_metrics "
      "WHERE feature_id = ? ORDER BY id",
      feature);
  while (pairs.next())
    entry.pair_metrics.push_back({std::string(pairs.text(0)), std::string(pairs.text(1)),
                                  pairs.real(2), pairs.real(3), pairs.real(4), pairs.real(5),
                                  pairs.real(6), pairs.integer(7), pairs.integer(8) != 0,
                                  std::string(pairs.text(9))});
  entry.spending = sums_of(database_.query(
      "SELECT purpose, model, sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), "
      "sum(reasoning_tokens), sum(requests), sum(money), currency FROM ledger "
      "WHERE feature_id = ? GROUP BY purpose, model, currency ORDER BY purpose, model, currency",
      feature));
  return entry;
}

std::optional<Spending> Atlas::cost_of(std::string_view request_hash) {
  if (request_hash.empty()) return std::nullopt;
  std::vector<Spending> sums = sums_of(database_.query(
      "SELECT purpose, model, sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), "
      "sum(reasoning_tokens), sum(requests), sum(money), currency FROM ledger "
      "WHERE request_hash = ? GROUP BY request_hash",
      request_hash));
  return sums.empty() ? std::nullopt : std::optional(std::move(sums.front()));
}

Explanation Atlas::explanation(std::int64_t id) {
  Query row = database_.query(
      "SELECT id, explainer, model, language, prompt_hash, seed, status, short_text, long_text, "
      "lexicon, raw, request_hash, reason, created FROM explanations WHERE id = ?",
      id);
  if (!row.next())
    bad_input(path().string(), fmt::format("there is no explanation {}", id), kListThem);
  return explanation_of(row);
}

std::int64_t Atlas::feature_of_explanation(std::int64_t id) {
  const std::optional<std::int64_t> feature =
      database_.find_integer("SELECT feature_id FROM explanations WHERE id = ?", id);
  if (!feature)
    bad_input(path().string(), fmt::format("there is no explanation {}", id), kListThem);
  return *feature;
}

std::optional<Score> Atlas::find_score(std::int64_t explanation, const ScoreKey& key) {
  Query row = database_.query(
      std::string(kScores) +
          "AND scorer = ?2 AND simulator = ?3 AND prompt_hash = ?4 AND seed = ?5 AND windows = ?6 "
          "AND batch = ?7 AND questions = ?8",
      explanation, key.scorer, key.simulator, key.prompt_hash, key.seed, key.windows, key.batch,
      key.questions);
  if (!row.next()) return std::nullopt;
  return score_of(row);
}

std::vector<Score> Atlas::scores(std::int64_t explanation) {
  std::vector<Score> result;
  Query row = database_.query(std::string(kScores) + "ORDER BY id", explanation);
  while (row.next()) {
    Score& score = result.emplace_back(score_of(row));
    Query simulated = database_.query(
        "SELECT place, simulated FROM simulations WHERE score_id = ? ORDER BY place", score.id);
    while (simulated.next())
      score.simulations.push_back({static_cast<std::size_t>(simulated.integer(0)),
                                   unpack_floats(simulated.blob(1), path().string())});
  }
  return result;
}

}  // namespace safesail
