// Directories of EleutherAI's delphi (results/<name>/), in and out. Format and what is kept:
// docs/formats/delphi.md.
//
// Import is one transaction, a latent in memory at a time (and one file of cached activations).
// Export makes a new folder, whole or not at all.
#pragma once

#include <string>
#include <vector>

#include "atlas/release.h"

namespace safesail {

bool is_delphi(const fs::path& folder);
ImportReport import_delphi(Atlas& atlas, const fs::path& folder);
void judge_delphi(const fs::path& folder, Judge& judge);
std::vector<fs::path> export_delphi(Atlas& atlas, const fs::path& folder,
                                    const std::string& sae = {});

}  // namespace safesail
