#include <ctime>
#include <fmt/format.h>

#include "atlas/atlas.h"
#include "atlas/blobs.h"
#include "atlas/feature_table.h"
#include "atlas/record_rows.h"
#include "atlas/schema.h"
#include "atlas/search_index.h"
#include "base/error.h"

namespace safesail {
namespace {

std::int64_t now() {
  return static_cast<std::int64_t>(std::time(nullptr));
}

/// Of a statement that ends in RETURNING id.
std::int64_t returned_id(Query&& query) {
  SAFESAIL_CHECK(query.next());
  const std::int64_t id = query.integer(0);
  while (query.next()) {
  }
  return id;
}

}  // namespace

Atlas::Atlas(const fs::path& path, Mode mode) : database_(path, mode) {
  prepare_schema(database_);
}

Atlas::~Atlas() = default;

std::int64_t Atlas::begin_run(const RunRow& run) {
  run_ = returned_id(database_.query(
      "INSERT INTO runs (created, version, seed, config) VALUES (?, ?, ?, ?) RETURNING id", now(),
      run.version, run.seed, run.config));
  return *run_;
}

std::int64_t Atlas::put_model(const ModelRow& model) {
  return returned_id(
      database_.query("INSERT INTO models (name, details) VALUES (?, ?) "
                      "ON CONFLICT DO UPDATE SET details = excluded.details RETURNING id",
                      model.name, model.details));
}

std::int64_t Atlas::put_sae(const SaeRow& sae) {
  Transaction transaction(database_);
  database_.run("INSERT INTO models (name, details) VALUES (?, '{}') ON CONFLICT DO NOTHING",
                sae.model);
  const std::int64_t id = returned_id(database_.query(
      "INSERT INTO saes (model_id, name, site, layer, architecture, n_features, details) "
      "VALUES ((SELECT id FROM models WHERE name = ?), ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET site = excluded.site, layer = excluded.layer, "
      "architecture = excluded.architecture, n_features = excluded.n_features, "
      "details = excluded.details RETURNING id",
      sae.model, sae.name, sae.site, sae.layer, sae.architecture, sae.n_features, sae.details));
  transaction.commit();
  return id;
}

std::int64_t Atlas::put_feature(std::int64_t sae, const FeatureRecord& record,
                                std::string_view status, std::string_view extra) {
  Transaction transaction(database_);
  // Of a record that no harvest has made, nothing is known.
  const bool measured = record.n_tokens > 0 || record.max_activation > 0;
  const double density = record.n_tokens == 0 ? kUnknown : record.density();
  const std::int64_t id = returned_id(database_.query(
      "INSERT INTO features (sae_id, feature, status, n_tokens, n_active, density, "
      "max_activation, quantile) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET status = excluded.status, n_tokens = excluded.n_tokens, "
      "n_active = excluded.n_active, density = excluded.density, "
      "max_activation = excluded.max_activation, quantile = excluded.quantile RETURNING id",
      sae, record.feature, status, record.n_tokens, record.n_active, density,
      measured ? record.max_activation : kUnknown, measured ? record.quantile : kUnknown));
  write_record(database_, id, record, extra);
  transaction.commit();
  return id;
}

std::string Atlas::insufficient(std::uint64_t n_windows) {
  return fmt::format("insufficient: n = {}", n_windows);
}

void Atlas::set_status(std::int64_t feature, std::string_view status) {
  database_.run("UPDATE features SET status = ? WHERE id = ?", status, feature);
}

std::int64_t Atlas::put_explanation(std::int64_t feature, const Explanation& explanation) {
  return put_explanations(feature, {&explanation, 1}).front();
}

std::vector<std::int64_t> Atlas::put_explanations(std::int64_t feature,
                                                  std::span<const Explanation> explanations) {
  Transaction transaction(database_);
  std::vector<std::int64_t> ids;
  for (const Explanation& explanation : explanations)
    ids.push_back(write_explanation(feature, explanation));
  index_feature(database_, feature);
  refresh_headline(feature);
  transaction.commit();
  return ids;
}

std::int64_t Atlas::write_explanation(std::int64_t feature, const Explanation& explanation) {
  const ExplanationKey& key = explanation.key;
  // A new row, so that the newest has the highest id; the scores of the old one, which judged the
  // text that stood there, go with it.
  database_.run(
      "DELETE FROM explanations WHERE feature_id = ? AND explainer = ? AND model = ? AND "
      "language = ? AND prompt_hash = ? AND seed = ?",
      feature, key.explainer, key.model, key.language, key.prompt_hash, key.seed);
  return returned_id(database_.query(
      "INSERT INTO explanations (feature_id, explainer, model, language, prompt_hash, seed, "
      "status, short_text, long_text, lexicon, raw, request_hash, reason, created, run_id) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
      feature, key.explainer, key.model, key.language, key.prompt_hash, key.seed,
      to_string(explanation.status), explanation.short_text, explanation.long_text,
      explanation.lexicon, explanation.raw, explanation.request_hash, explanation.reason, now(),
      run_));
}

std::int64_t Atlas::put_score(std::int64_t explanation, const Score& score) {
  Transaction transaction(database_);
  const ScoreKey& key = score.key;
  feature_of_explanation(explanation);  // there is one
  database_.run(
      "DELETE FROM scores WHERE explanation_id = ? AND scorer = ? AND simulator = ? AND "
      "prompt_hash = ? AND seed = ? AND windows = ? AND batch = ? AND questions = ?",
      explanation, key.scorer, key.simulator, key.prompt_hash, key.seed, key.windows, key.batch,
      key.questions);
  const std::int64_t id = returned_id(database_.query(
      "INSERT INTO scores (explanation_id, scorer, simulator, prompt_hash, seed, windows, batch, "
      "questions, value, low, high, floor, n_windows, n_units, n_unparsable, n_refused, n_failed, "
      "details, created, run_id) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
      explanation, key.scorer, key.simulator, key.prompt_hash, key.seed, key.windows, key.batch,
      key.questions, score.value, score.low, score.high, score.floor, score.n_windows,
      score.n_units, score.n_unparsable, score.n_refused, score.n_failed, score.details, now(),
      run_));
  for (const Simulation& simulation : score.simulations)
    database_.run("INSERT INTO simulations VALUES (?, ?, ?)", id, simulation.exemplar,
                  std::span<const std::byte>(pack_floats(simulation.values)));
  transaction.commit();
  return id;
}

void Atlas::put_tag(std::int64_t feature, const Tag& tag) {
  database_.run(
      "INSERT INTO tags (feature_id, domain, subclass, source, evidence) VALUES (?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET evidence = excluded.evidence",
      feature, tag.domain, tag.subclass, tag.source, tag.evidence);
}

void Atlas::delete_tags(std::int64_t feature, std::string_view source) {
  database_.run("DELETE FROM tags WHERE feature_id = ? AND source = ?", feature, source);
}

void Atlas::put_pair_metrics(std::int64_t feature, const PairMetrics& metrics) {
  Transaction transaction(database_);
  database_.run(
      "INSERT INTO pair_metrics (feature_id, concept, language, f, reverse, p, q, effect, n, "
      "accepted, held_out) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET f = excluded.f, reverse = excluded.reverse, p = excluded.p, "
      "q = excluded.q, effect = excluded.effect, n = excluded.n, accepted = excluded.accepted, "
      "held_out = excluded.held_out",
      feature, metrics.concept_name, metrics.language, metrics.f, metrics.reverse, metrics.p,
      metrics.q, metrics.effect, metrics.n, static_cast<std::int64_t>(metrics.accepted),
      metrics.held_out);
  database_.run(
      "UPDATE features SET effect = (SELECT max(effect) FROM pair_metrics WHERE feature_id = "
      "features.id) WHERE id = ?",
      feature);
  transaction.commit();
}

void Atlas::put_coordinates(std::span<const std::int64_t> features, std::span<const float> x,
                            std::span<const float> y) {
  SAFESAIL_CHECK(features.size() == x.size() && features.size() == y.size());
  Transaction transaction(database_);
  for (std::size_t i = 0; i < features.size(); ++i)
    database_.run("UPDATE features SET x = ?, y = ? WHERE id = ?", x[i], y[i], features[i]);
  transaction.commit();
}

void Atlas::refresh_headline(std::int64_t feature) {
  database_.run(
      "UPDATE features SET headline = (SELECT id FROM explanations WHERE feature_id = features.id "
      "AND status IN ('ok', 'masked', 'absent') "
      "ORDER BY explainer = 'lexical', language <> 'en', id DESC LIMIT 1) WHERE id = ?",
      feature);
}

void Atlas::add_ledger_line(const LedgerLine& line) {
  database_.run(
      "INSERT INTO ledger (time, purpose, feature_id, endpoint, model, request_hash, "
      "prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, requests, money, "
      "currency, status, reason, run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      now(), line.purpose, line.feature, line.endpoint, line.model, line.request_hash,
      line.prompt_tokens, line.completion_tokens, line.cached_tokens, line.reasoning_tokens,
      line.requests, line.money, line.currency, line.status, line.reason, run_);
}

void Atlas::put_answer(std::string_view request_hash, std::string_view response) {
  database_.run("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", request_hash, response, now());
}

}  // namespace safesail
