// The columns by which features are filtered, sorted and counted, in memory: about 70 bytes a
// feature. Every question is a scan over plain arrays, so that any page of any listing of a million
// features costs the same few milliseconds, whatever the filters and however deep the page.
//
// Read from the database as of construction, immutable afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "atlas/database.h"
#include "atlas/feature_query.h"
#include "atlas/row_set.h"

namespace safesail {

class FeatureTable {
 public:
  explicit FeatureTable(Database& database);

  /// Of the database when this was read.
  std::uint64_t version() const { return version_; }
  std::size_t size() const { return ids_.size(); }
  std::int64_t id(std::size_t row) const { return ids_[row]; }
  /// size() when there is none.
  std::size_t row_of(std::int64_t id) const;

  /// Rows that pass all filters of the query but its text.
  RowSet matching(const FeatureQuery& query) const;
  /// Ids of one page of `rows` in the order asked for; `relevance` is taken as score.
  std::vector<std::int64_t> page(const RowSet& rows, const FeatureQuery& query) const;
  FeatureCounts counts(const RowSet& rows) const;

 private:
  struct Sae {
    std::string name, site;
    std::int32_t layer = 0;
  };
  void read_saes(Database& database);
  void read_features(Database& database);
  void read_tags(Database& database);
  void read_languages(Database& database);

  std::uint64_t version_ = 0;
  ScoreMeasure measure_;
  std::map<std::int64_t, std::uint32_t> sae_of_id_;
  std::vector<Sae> saes_;  ///< by layer, then name
  // One entry a feature, in the order of place: SAE, then index.
  std::vector<std::int64_t> ids_;
  std::vector<std::uint32_t> sae_;
  std::vector<double> score_, density_, max_activation_, effect_;
  RowSet insufficient_, explained_;
  std::vector<std::pair<std::int64_t, std::uint32_t>> row_of_id_;  ///< sorted
  std::map<std::pair<std::string, std::string>, RowSet> tags_;     ///< domain, subclass
  std::map<std::string, RowSet> languages_;  ///< features that have an explanation in it
};

}  // namespace safesail
