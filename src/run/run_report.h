// The files of a run's folder as what the page shows of it: the grid's SAEs with their held-out
// results, what contrast pairs said of them, their training curves.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"

namespace safesail {

/// GET /runs; its form: api.openapi.json. Files that the run has not (yet) are null or empty lists;
/// an Error for one that is damaged.
nlohmann::json run_report(const fs::path& run);

/// Another text whenever one of the files is another.
std::string run_version(const fs::path& run);

}  // namespace safesail
