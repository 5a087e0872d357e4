// The tables of the atlas and how an older file becomes a newer one. Described in docs/atlas.md.
#pragma once

#include <span>

#include "atlas/database.h"

namespace safesail {

/// `PRAGMA application_id` of our files: "SSAL".
inline constexpr std::int64_t kAtlasApplicationId = 0x5353414C;
/// The SQL that leads from version i (`PRAGMA user_version`) to i + 1.
std::span<const char* const> atlas_migrations();

/// Makes the tables of an empty file, brings those of an older one up to date (each step in a
/// transaction of its own). An input error for a database of another program, or of a newer
/// Safesail. For a read-only connection another one does so.
void prepare_schema(Database& database);

}  // namespace safesail
