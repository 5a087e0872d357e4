// What the atlas gives, as JSON for machines: what the program prints and the server answers.
// Unknown numbers are null.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "atlas/feature_query.h"
#include "atlas/records.h"

namespace safesail {

/// In the header, so that a reader of files needs no more of the atlas.
inline nlohmann::json json_of(const std::vector<PartDensity>& parts) {
  nlohmann::json list = nlohmann::json::array();
  for (const PartDensity& part : parts)
    list.push_back({{"part", part.part}, {"n_tokens", part.n_tokens}, {"n_active", part.n_active}});
  return list;
}
nlohmann::json json_of(const FeatureLine& line);
nlohmann::json json_of(const FeaturePage& page, const FeatureQuery& query);
nlohmann::json json_of(const FeatureCounts& counts, const std::vector<Spending>& spending);
/// Without exemplars also without the simulations of them.
nlohmann::json json_of(const FeatureEntry& entry, const std::vector<Neighbour>& neighbours,
                       bool with_exemplars = true);
nlohmann::json json_of(const Landscape& landscape);

}  // namespace safesail
