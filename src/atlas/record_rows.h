// FeatureRecord to and from the rows of `features`, `feature_details` and `exemplars`.
#pragma once

#include "atlas/database.h"
#include "harvest/exemplars.h"

namespace safesail {

/// Replaces details and exemplars of the feature with this id. `extra`: a JSON object.
void write_record(Database& database, std::int64_t feature, const FeatureRecord& record,
                  std::string_view extra);

/// One more exemplar, at `place`. `extra`: a JSON object.
void write_exemplar(Database& database, std::int64_t feature, std::size_t place,
                    const Exemplar& exemplar, std::string_view extra = "{}");

/// All of it, checked: offsets lie in their text, every array has its length.
FeatureRecord read_record(Database& database, std::int64_t feature);

/// The exemplars' own, in their order.
std::vector<std::string> read_exemplar_extras(Database& database, std::int64_t feature);

/// What write_record was given.
std::string read_extra(Database& database, std::int64_t feature);

}  // namespace safesail
