#include "atlas/feature_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace safesail {
namespace {

using Rows = FeatureTable::Rows;

std::int64_t n_set(const Rows& rows) {
  return std::count(rows.begin(), rows.end(), true);
}

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
  Rows insufficient;
  Query row = database.query(
      "SELECT id, sae_id, feature, score, density, max_activation, effect, status <> 'ok' "
      "FROM features ORDER BY id");
  while (row.next()) {
    ids.push_back(row.integer(0));
    saes.push_back(sae_of_id_.at(row.integer(1)));
    features.push_back(row.integer(2));
    values.push_back({row.real(3), row.real(4), row.real(5), row.real(6)});
    insufficient.push_back(row.integer(7) != 0);
  }
  std::vector<std::uint32_t> order(ids.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return saes[a] != saes[b] ? saes[a] < saes[b] : features[a] < features[b];
  };
  if (!std::is_sorted(order.begin(), order.end(), before))
    std::sort(order.begin(), order.end(), before);

  insufficient_.resize(ids.size());
  explained_.resize(ids.size());
  for (std::uint32_t to = 0; to < order.size(); ++to) {
    const std::uint32_t from = order[to];
    ids_.push_back(ids[from]);
    sae_.push_back(saes[from]);
    score_.push_back(values[from][0]);
    density_.push_back(values[from][1]);
    max_activation_.push_back(values[from][2]);
    effect_.push_back(values[from][3]);
    insufficient_[to] = insufficient[from];
    row_of_id_.emplace_back(ids[from], to);
  }
  std::sort(row_of_id_.begin(), row_of_id_.end());
}

void FeatureTable::read_tags(Database& database) {
  Query row = database.query("SELECT domain, subclass, feature_id FROM tags");
  std::pair<std::string, std::string> tag;
  Rows* rows = nullptr;
  while (row.next()) {
    if (rows == nullptr || tag.first != row.text(0) || tag.second != row.text(1)) {
      tag = {std::string(row.text(0)), std::string(row.text(1))};
      rows = &tags_.try_emplace(tag, size(), false).first->second;
    }
    (*rows)[row_of(row.integer(2))] = true;
  }
}

void FeatureTable::read_languages(Database& database) {
  Query row = database.query(
      "SELECT language, feature_id, status = 'ok' FROM explanations WHERE status <> 'failed'");
  std::string language;
  Rows* rows = nullptr;
  while (row.next()) {
    if (rows == nullptr || language != row.text(0)) {
      language = row.text(0);
      rows = &languages_.try_emplace(language, size(), false).first->second;
    }
    const std::size_t at = row_of(row.integer(1));
    (*rows)[at] = true;
    if (row.integer(2) != 0) explained_[at] = true;
  }
}

std::size_t FeatureTable::row_of(std::int64_t id) const {
  const auto found = std::lower_bound(row_of_id_.begin(), row_of_id_.end(),
                                      std::pair<std::int64_t, std::uint32_t>(id, 0));
  return found == row_of_id_.end() || found->first != id ? size() : found->second;
}

Rows FeatureTable::matching(const FeatureQuery& query) const {
  std::vector<char> sae_matches(saes_.size());
  for (std::size_t s = 0; s < saes_.size(); ++s)
    sae_matches[s] = (query.sae.empty() || query.sae == saes_[s].name) &&
                     (query.site.empty() || query.site == saes_[s].site) &&
                     (!query.layer || *query.layer == saes_[s].layer);
  Rows rows(size());
  // An unknown value (NaN) is in no range.
  const auto in_range = [](double value, std::optional<double> low, std::optional<double> high) {
    return (!low || value >= *low) && (!high || value <= *high);
  };
  for (std::size_t i = 0; i < size(); ++i)
    rows[i] = sae_matches[sae_[i]] != 0 && in_range(score_[i], query.min_score, query.max_score) &&
              in_range(density_[i], query.min_density, query.max_density) &&
              (!query.explained || *query.explained == explained_[i]) &&
              (!query.sufficient || *query.sufficient != insufficient_[i]);
  if (query.domain.empty() && query.subclass.empty()) return rows;

  Rows tagged(size());
  for (const auto& [tag, having] : tags_)
    if ((query.domain.empty() || query.domain == tag.first) &&
        (query.subclass.empty() || query.subclass == tag.second))
      for (std::size_t i = 0; i < size(); ++i) tagged[i] = tagged[i] || having[i];
  for (std::size_t i = 0; i < size(); ++i) rows[i] = rows[i] && tagged[i];
  return rows;
}

std::vector<std::int64_t> FeatureTable::page(const Rows& rows, const FeatureQuery& query) const {
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
  for (std::uint32_t i = 0; i < size(); ++i) {
    if (!rows[i]) continue;
    const double value = values == nullptr ? 0 : (*values)[i];
    keys.push_back({std::isnan(value) ? std::numeric_limits<double>::infinity()
                    : query.ascending ? value
                                      : -value,
                    i});
  }
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

FeatureCounts FeatureTable::counts(const Rows& rows) const {
  FeatureCounts counts;
  counts.n_features = n_set(rows);
  const auto n_both = [&](const Rows& others) {
    std::int64_t n = 0;
    for (std::size_t i = 0; i < size(); ++i) n += rows[i] && others[i];
    return n;
  };
  counts.n_explained = n_both(explained_);
  counts.n_insufficient = n_both(insufficient_);
  for (std::size_t i = 0; i < size(); ++i) counts.n_scored += rows[i] && !std::isnan(score_[i]);

  const auto count_of = [&](const std::string& name, const Rows& others) {
    Count count;
    count.name = name;
    Rows both(size());
    for (std::size_t i = 0; i < size(); ++i) both[i] = rows[i] && others[i];
    count.n = n_set(both);
    for (const auto& [language, having] : languages_)
      for (std::size_t i = 0; i < size(); ++i) count.by_language[language] += both[i] && having[i];
    return count;
  };
  std::map<std::string, Rows> domains;
  Rows tagged(size());
  std::map<std::string, Count> by_domain, by_subclass;
  for (const auto& [tag, having] : tags_) {
    Rows& domain = domains.try_emplace(tag.first, size(), false).first->second;
    for (std::size_t i = 0; i < size(); ++i)
      if (having[i]) domain[i] = tagged[i] = true;
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
  for (const auto& [language, having] : languages_) counts.by_language[language] = n_both(having);

  std::vector<std::int64_t> by_sae(saes_.size());
  for (std::size_t i = 0; i < size(); ++i) by_sae[sae_[i]] += rows[i];
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
