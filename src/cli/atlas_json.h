// What the atlas gives, as JSON for machines. Unknown numbers are null.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "atlas/feature_query.h"
#include "atlas/records.h"

namespace safesail {

nlohmann::json json_of(const FeatureLine& line);
nlohmann::json json_of(const FeaturePage& page, const FeatureQuery& query);
nlohmann::json json_of(const FeatureCounts& counts, const std::vector<Spending>& spending);
nlohmann::json json_of(const FeatureEntry& entry, const std::vector<Neighbour>& neighbours);

}  // namespace safesail
