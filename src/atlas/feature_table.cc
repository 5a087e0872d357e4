#include "atlas/feature_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "atlas/score_measure.h"
#include "base/error.h"

namespace safesail {
namespace {

/// What a row is sorted by; smaller is earlier.
struct Key {
  double value;
  std::uint32_t row;
  bool operator<(const Key& other) const {
    return value != other.value ? value < other.value : row < other.row;
  }
};

std::vector<Count> falling(const std::map<std::string, Count>& counts) {
  std::vector<Count> list;
  for (const auto& [name, count] : counts) list.push_back(count);
  std::stable_sort(list.begin(), list.end(),
                   [](const Count& a, const Count& b) { return a.n > b.n; });
  return list;
}

}  // namespace

FeatureTable::FeatureTable(Database& database) : version_(database.version()) {
  const Snapshot snapshot(database);
  measure_ = read_measure(database);
  read_saes(database);
  read_features(database);
  read_tags(database);
  read_languages(database);
}

void FeatureTable::read_saes(Database& database) {
  Query row = database.query("SELECT id, name, site, layer FROM saes ORDER BY layer, name, id");
  while (row.next()) {
    sae_of_id_[row.integer(0)] = static_cast<std::uint32_t>(saes_.size());
    saes_.push_back({std::string(row.text(1)), std::string(row.text(2)),
                     static_cast<std::int32_t>(row.integer(3))});
  }
}

void FeatureTable::read_features(Database& database) {
  // In the order of ids, which is that of the file; sorted afterwards where the two differ.
  std::vector<std::uint32_t> saes;
  std::vector<std::int64_t> ids, features;
  std::vector<std::array<double, 4>> values;
  std::vector<char> insufficient;
  Query row = database.query(
      "SELECT f.id, f.sae_id, f.feature, (SELECT c.value FROM scores c WHERE c.explanation_id = "
      "f.headline AND "
      "c.scorer = ?1 AND c.simulator = ?2 AND c.value IS NOT NULL ORDER BY c.windows DESC, c.id "
      "DESC LIMIT 1), "
      "f.density, f.max_activation, f.effect, f.status <> 'ok' FROM features f ORDER BY f.id",
      measure_.scorer, measure_.simulator);
  while (row.next()) {
    ids.push_back(row.integer(0));
    const auto sae = sae_of_id_.find(row.integer(1));
    if (sae == sae_of_id_.end())
      bad_input(database.path().string(), "a feature is of no SAE",
                "the database is damaged: import it or run it again");
    saes.push_back(sae->second);
    features.push_back(row.integer(2));
    values.push_back({row.real(3), row.real(4), row.real(5), row.real(6)});
    insufficient.push_back(static_cast<char>(row.integer(7)));
  }
  std::vector<std::uint32_t> order(ids.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return saes[a] != saes[b] ? saes[a] < saes[b] : features[a] < features[b];
  };
  if (!std::is_sorted(order.begin(), order.end(), before))
    std::sort(order.begin(), order.end(), before);

  insufficient_ = explained_ = RowSet(ids.size());
  for (std::uint32_t to = 0; to < order.size(); ++to) {
    const std::uint32_t from = order[to];
    ids_.push_back(ids[from]);
    sae_.push_back(saes[from]);
    score_.push_back(values[from][0]);
    density_.push_back(values[from][1]);
    max_activation_.push_back(values[from][2]);
    effect_.push_back(values[from][3]);
    if (insufficient[from] != 0) insufficient_.insert(to);
    row_of_id_.emplace_back(ids[from], to);
  }
  std::sort(row_of_id_.begin(), row_of_id_.end());
}

void FeatureTable::read_tags(Database& database) {
  Query row = database.query("SELECT domain, subclass, feature_id FROM tags");
  std::pair<std::string, std::string> tag;
  RowSet* rows = nullptr;
  while (row.next()) {
    if (rows == nullptr || tag.first != row.text(0) || tag.second != row.text(1)) {
      tag = {std::string(row.text(0)), std::string(row.text(1))};
      rows = &tags_.try_emplace(tag, size()).first->second;
    }
    if (const std::size_t at = row_of(row.integer(2)); at < size()) rows->insert(at);
  }
}

void FeatureTable::read_languages(Database& database) {
  Query row = database.query(
      "SELECT language, feature_id, status = 'ok' FROM explanations WHERE status <> 'failed'");
  std::string language;
  RowSet* rows = nullptr;
  while (row.next()) {
    if (rows == nullptr || language != row.text(0)) {
      language = row.text(0);
      rows = &languages_.try_emplace(language, size()).first->second;
    }
    const std::size_t at = row_of(row.integer(1));
    if (at == size()) continue;
    rows->insert(at);
    if (row.integer(2) != 0) explained_.insert(at);
  }
}

std::size_t FeatureTable::row_of(std::int64_t id) const {
  const auto found = std::lower_bound(row_of_id_.begin(), row_of_id_.end(),
                                      std::pair<std::int64_t, std::uint32_t>(id, 0));
  return found == row_of_id_.end() || found->first != id ? size() : found->second;
}

RowSet FeatureTable::matching(const FeatureQuery& query) const {
  RowSet rows = RowSet::all(size());
  const auto wants = [&](const std::string& domain) {
    return query.domains.empty() || std::ranges::find(query.domains, domain) != query.domains.end();
  };
  if (!query.domains.empty() || !query.subclass.empty()) {
    RowSet tagged(size());
    for (const auto& [tag, having] : tags_)
      if (wants(tag.first) && (query.subclass.empty() || query.subclass == tag.second))
        tagged |= having;
    rows &= tagged;
  }
  if (query.ids) {
    RowSet named(size());
    for (const std::int64_t id : *query.ids)
      if (const std::size_t row = row_of(id); row < size()) named.insert(row);
    rows &= named;
  }
  std::vector<char> sae_matches(saes_.size());
  for (std::size_t s = 0; s < saes_.size(); ++s)
    sae_matches[s] = (query.sae.empty() || query.sae == saes_[s].name) &&
                     (query.site.empty() || query.site == saes_[s].site) &&
                     (!query.layer || *query.layer == saes_[s].layer);
  // An unknown value (NaN) is in no range.
  const auto in_range = [](double value, std::optional<double> low, std::optional<double> high) {
    return (!low || value >= *low) && (!high || value <= *high);
  };
  rows.keep_if([&](std::size_t i) {
    return sae_matches[sae_[i]] != 0 && in_range(score_[i], query.min_score, query.max_score) &&
           in_range(density_[i], query.min_density, query.max_density) &&
           (!query.explained || *query.explained == explained_.contains(i)) &&
           (!query.sufficient || *query.sufficient != insufficient_.contains(i));
  });
  return rows;
}

std::vector<std::int64_t> FeatureTable::page(const RowSet& rows, const FeatureQuery& query) const {
  const std::vector<double>* values = nullptr;
  switch (query.order) {
    case FeatureOrder::score:
    case FeatureOrder::relevance:
      values = &score_;
      break;
    case FeatureOrder::density:
      values = &density_;
      break;
    case FeatureOrder::max_activation:
      values = &max_activation_;
      break;
    case FeatureOrder::effect:
      values = &effect_;
      break;
    case FeatureOrder::place:
      break;
  }
  std::vector<Key> keys;
  keys.reserve(static_cast<std::size_t>(rows.count()));
  rows.each([&](std::size_t i) {
    const double value = values == nullptr ? 0 : (*values)[i];
    keys.push_back({std::isnan(value) ? std::numeric_limits<double>::infinity()
                    : query.ascending ? value
                                      : -value,
                    static_cast<std::uint32_t>(i)});
  });
  const auto begin = std::min(keys.size(), static_cast<std::size_t>(query.offset));
  const auto end = begin + std::min(keys.size() - begin, static_cast<std::size_t>(query.limit));
  if (begin > 0 && begin < end)
    std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(begin), keys.end());
  std::partial_sort(keys.begin() + static_cast<std::ptrdiff_t>(begin),
                    keys.begin() + static_cast<std::ptrdiff_t>(end), keys.end());
  std::vector<std::int64_t> ids;
  for (std::size_t i = begin; i < end; ++i) ids.push_back(ids_[keys[i].row]);
  return ids;
}

FeatureCounts FeatureTable::counts(const RowSet& rows) const {
  FeatureCounts counts;
  counts.n_features = rows.count();
  counts.n_explained = (rows & explained_).count();
  counts.n_insufficient = (rows & insufficient_).count();
  counts.measure = measure_;
  rows.each([&](std::size_t i) { counts.n_scored += !std::isnan(score_[i]); });
  for (const auto& [language, having] : languages_)
    counts.by_language[language] = (rows & having).count();

  const auto count_of = [&](const std::string& name, const RowSet& having) {
    const RowSet both = rows & having;
    Count count;
    count.name = name;
    count.n = both.count();
    for (const auto& [language, in_language] : languages_)
      count.by_language[language] = (both & in_language).count();
    return count;
  };
  std::map<std::string, RowSet> domains;
  RowSet tagged(size());
  std::map<std::string, Count> by_domain, by_subclass;
  for (const auto& [tag, having] : tags_) {
    domains.try_emplace(tag.first, size()).first->second |= having;
    tagged |= having;
    if (tag.second.empty()) continue;
    const std::string name = tag.first + "/" + tag.second;
    by_subclass[name] = count_of(name, having);
  }
  for (const auto& [name, having] : domains) by_domain[name] = count_of(name, having);
  counts.domains = falling(by_domain);
  counts.subclasses = falling(by_subclass);
  const Count in_all = count_of("", tagged);
  counts.n_tagged = in_all.n;
  counts.tagged_by_language = in_all.by_language;

  std::vector<std::int64_t> by_sae(saes_.size());
  rows.each([&](std::size_t i) { ++by_sae[sae_[i]]; });
  std::map<std::int32_t, std::int64_t> by_layer;
  std::map<std::string, std::int64_t> by_site;
  for (std::size_t s = 0; s < saes_.size(); ++s) {
    counts.saes.push_back({saes_[s].name, by_sae[s], {}});
    by_layer[saes_[s].layer] += by_sae[s];
    by_site[saes_[s].site] += by_sae[s];
  }
  for (const auto& [layer, n] : by_layer) counts.layers.push_back({std::to_string(layer), n, {}});
  for (const auto& [site, n] : by_site) counts.sites.push_back({site, n, {}});
  return counts;
}

}  // namespace safesail
