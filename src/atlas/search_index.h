// The full-text index of the atlas: a row a feature, with the texts of all its explanations as
// search_text() writes them.
#pragma once

#include <cstdint>

#include "atlas/database.h"

namespace safesail {

/// Writes the row of one feature anew.
void index_feature(Database& database, std::int64_t feature);
/// Those of all features, after search_text() has changed.
void index_all_features(Database& database);

}  // namespace safesail
