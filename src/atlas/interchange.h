// The formats of others that an atlas comes from and goes to, by name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "atlas/atlas.h"
#include "atlas/judge.h"
#include "atlas/release.h"

namespace safesail {

struct AtlasFormat {
  const char* name;  ///< "safe-sail"
  /// Does the folder look like it?
  bool (*is_in)(const fs::path& folder);
  /// In one transaction; throws at the first fault.
  ImportReport (*import)(Atlas& atlas, const fs::path& folder);
  /// Reads all and writes nothing.
  void (*judge)(const fs::path& folder, Judge& judge);
  /// Gives what was written. `sae`: empty for all.
  std::vector<fs::path> (*write)(Atlas& atlas, const fs::path& folder, const std::string& sae);
};

std::span<const AtlasFormat> atlas_formats();
/// An input error that lists the names when there is none of this one.
const AtlasFormat& atlas_format(std::string_view name);
/// The format of a folder; an input error when it is none.
const AtlasFormat& format_of_folder(const fs::path& folder);

/// Imports into the file at `path`, which is made where needed and not left behind when the import
/// fails.
ImportReport import_folder(const AtlasFormat& format, const fs::path& folder, const fs::path& path);
std::vector<Violation> validate_folder(const AtlasFormat& format, const fs::path& folder);

}  // namespace safesail
