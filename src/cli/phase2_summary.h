// What phase 2 of a run ends with.
#pragma once

#include <string>

#include "base/file.h"
#include "run/phase2.h"

namespace safesail {

/// The table of the selection where it was made now, the recommendation, the ten best features a
/// domain, and where to look further.
std::string phase2_summary(const Phase2Result& result, const fs::path& run);

}  // namespace safesail
