// The tables of the atlas and how an older file becomes a newer one. Described in docs/atlas.md.
#pragma once

#include "atlas/database.h"

namespace safesail {

/// `PRAGMA application_id` of our files: "SSAL".
inline constexpr std::int64_t kAtlasApplicationId = 0x5353414C;
/// `PRAGMA user_version` of a file that this program has migrated.
std::int64_t atlas_schema_version();

/// Makes the tables of an empty file, brings those of an older one up to date (each step in a
/// transaction of its own). An input error for a database of another program, or of a newer
/// Safesail. A read-only connection only checks.
void prepare_schema(Database& database);

}  // namespace safesail
