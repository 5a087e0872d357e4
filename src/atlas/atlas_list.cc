#include <algorithm>
#include <fmt/format.h>

#include "atlas/atlas.h"
#include "atlas/feature_table.h"
#include "atlas/search_text.h"
#include "base/error.h"

namespace safesail {
namespace {

constexpr std::int64_t kMaxLimit = 100'000;
/// To rank texts each must be read; a word that so many have says little about which is best.
constexpr std::size_t kMaxRanked = 20'000;

/// Features whose text matches, in the order of ids.
std::vector<std::int64_t> ids_with_text(Database& database, const std::string& match) {
  std::vector<std::int64_t> ids;
  Query row = database.query("SELECT rowid FROM search WHERE search MATCH ?", match);
  while (row.next()) ids.push_back(row.integer(0));
  return ids;
}

/// The same, best first (BM25).
std::vector<std::int64_t> ids_by_relevance(Database& database, const std::string& match) {
  std::vector<std::int64_t> ids;
  Query row =
      database.query("SELECT rowid FROM search WHERE search MATCH ? ORDER BY rank, rowid", match);
  while (row.next()) ids.push_back(row.integer(0));
  return ids;
}

RowSet rows_of(const FeatureTable& table, const std::vector<std::int64_t>& ids) {
  RowSet rows(table.size());
  for (const std::int64_t id : ids)
    if (const std::size_t row = table.row_of(id); row < rows.n_rows()) rows.insert(row);
  return rows;
}

}  // namespace

FeatureTable& Atlas::table() {
  if (table_ == nullptr || table_->version() != database_.version())
    table_ = std::make_unique<FeatureTable>(database_);
  return *table_;
}

FeaturePage Atlas::list(const FeatureQuery& query) {
  if (query.offset < 0 || query.limit < 1 || query.limit > kMaxLimit)
    bad_input("page",
              fmt::format("expected an offset of at least 0 and a limit of 1 to {}, got {} and {}",
                          kMaxLimit, query.offset, query.limit),
              "ask for smaller pages");
  const FeatureTable& features = table();
  const Snapshot snapshot(database_);
  RowSet rows = features.matching(query);
  const std::string match = search_query(query.text);
  std::vector<std::int64_t> page;
  std::vector<std::int64_t> found;
  if (!match.empty()) {
    found = ids_with_text(database_, match);
    rows &= rows_of(features, found);
  } else if (!query.text.empty()) {
    rows = RowSet(features.size());  // nothing but punctuation: in no text
  }
  if (query.order == FeatureOrder::relevance && !match.empty() && found.size() <= kMaxRanked) {
    std::vector<std::int64_t> ranked = ids_by_relevance(database_, match);
    std::erase_if(ranked, [&](std::int64_t id) {
      const std::size_t row = features.row_of(id);
      return row >= rows.n_rows() || !rows.contains(row);
    });
    const auto begin = std::min(ranked.size(), static_cast<std::size_t>(query.offset));
    const auto n = std::min(ranked.size() - begin, static_cast<std::size_t>(query.limit));
    page.assign(ranked.begin() + static_cast<std::ptrdiff_t>(begin),
                ranked.begin() + static_cast<std::ptrdiff_t>(begin + n));
  } else {
    page = features.page(rows, query);
  }
  FeaturePage result;
  result.n_total = rows.count();
  for (const std::int64_t id : page) result.lines.push_back(line_of(id, query.language));
  return result;
}

FeatureCounts Atlas::counts(const FeatureQuery& query) {
  const FeatureTable& features = table();
  const Snapshot snapshot(database_);
  RowSet rows = features.matching(query);
  const std::string match = search_query(query.text);
  if (!match.empty())
    rows &= rows_of(features, ids_with_text(database_, match));
  else if (!query.text.empty())
    rows = RowSet(features.size());
  return features.counts(rows);
}

FeatureLine Atlas::line_of(std::int64_t feature, std::string_view language) {
  FeatureLine line;
  line.id = feature;
  Query row = database_.query(
      "SELECT s.name, s.site, s.layer, f.feature, f.status, (SELECT c.value FROM scores c WHERE "
      "c.explanation_id = f.headline AND "
      "c.scorer = ?1 AND c.simulator = ?2 AND c.value IS NOT NULL ORDER BY c.windows DESC, c.id "
      "DESC LIMIT 1), "
      "f.density, f.max_activation, f.effect, f.headline "
      "FROM features f JOIN saes s ON s.id = f.sae_id WHERE f.id = ?3",
      measure().scorer, measure().simulator, feature);
  if (!row.next()) bad_input(path().string(), "a feature has just been deleted", "list again");
  line.sae = row.text(0);
  line.site = row.text(1);
  line.layer = static_cast<std::int32_t>(row.integer(2));
  line.feature = static_cast<std::int32_t>(row.integer(3));
  line.status = row.text(4);
  line.score = row.real(5);
  line.density = row.real(6);
  line.max_activation = row.real(7);
  line.effect = row.real(8);

  // The headline's explainer in the language asked for, else the headline.
  Query text = database_.query(
      "SELECT e.explainer, e.language, e.status, e.short_text FROM explanations h "
      "JOIN explanations e ON e.feature_id = h.feature_id AND e.explainer = h.explainer "
      "WHERE h.id = ?1 AND (e.id = ?1 OR (e.language = ?2 AND e.status IN "
      "('ok', 'masked', 'absent'))) ORDER BY e.language <> ?2, e.id = ?1 DESC, e.id DESC LIMIT 1",
      row.integer(9), language);
  if (text.next()) {
    line.explainer = text.text(0);
    line.language = text.text(1);
    line.text_status = parse_text_status(text.text(2));
    line.text = text.text(3);
  }
  Query domains = database_.query(
      "SELECT DISTINCT domain FROM tags WHERE feature_id = ? ORDER BY domain", feature);
  while (domains.next()) line.domains.emplace_back(domains.text(0));
  return line;
}

std::vector<KnownFeature> Atlas::known_features(std::int64_t sae) {
  const Snapshot snapshot(database_);
  std::vector<KnownFeature> features;
  // Of several explanations in a language the newest stands.
  Query row = database_.query(
      "SELECT f.id, f.feature, f.quantile, (SELECT c.value FROM scores c WHERE c.explanation_id = "
      "f.headline AND "
      "c.scorer = ?1 AND c.simulator = ?2 AND c.value IS NOT NULL ORDER BY c.windows DESC, c.id "
      "DESC LIMIT 1), "
      "e.language, e.short_text FROM features f LEFT JOIN explanations h ON h.id = f.headline "
      "LEFT JOIN explanations e ON e.feature_id = f.id AND e.explainer = h.explainer AND "
      "e.status = 'ok' WHERE f.sae_id = ?3 ORDER BY f.feature, e.id",
      measure().scorer, measure().simulator, sae);
  while (row.next()) {
    if (features.empty() || features.back().id != row.integer(0)) {
      KnownFeature& one = features.emplace_back();
      one.id = row.integer(0);
      one.feature = static_cast<std::int32_t>(row.integer(1));
      one.quantile = row.real(2);
      one.score = row.real(3);
    }
    if (!row.text(4).empty()) features.back().explanations[std::string(row.text(4))] = row.text(5);
  }
  Query tag = database_.query(
      "SELECT DISTINCT f.feature, t.domain FROM features f JOIN tags t ON t.feature_id = f.id "
      "WHERE f.sae_id = ? ORDER BY f.feature, t.domain",
      sae);
  auto at = features.begin();
  while (tag.next()) {
    at = std::find_if(at, features.end(),
                      [&](const KnownFeature& one) { return one.feature == tag.integer(0); });
    at->domains.emplace_back(tag.text(1));
  }
  return features;
}

std::vector<Neighbour> Atlas::neighbours(std::int64_t feature) {
  const std::optional<std::int64_t> sae =
      database_.find_integer("SELECT sae_id FROM features WHERE id = ?", feature);
  std::vector<Neighbour> result;
  for (const NearFeature& near : record(feature).nearest)
    if (const auto id = find_feature(*sae, near.feature))
      result.push_back({line_of(*id, {}), near.cosine});
  return result;
}

}  // namespace safesail
