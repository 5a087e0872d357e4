// Neuronpedia's export layout (features, activations, explanations as batches of jsonl.gz beside
// files of one row), in and out. Format and what is kept: docs/formats/neuronpedia.md.
//
// Reading streams: a row is in memory at a time. Import is one transaction. Export makes a new
// folder, whole or not at all.
#pragma once

#include <string>
#include <vector>

#include "atlas/release.h"

namespace safesail {

bool is_neuronpedia(const fs::path& folder);
ImportReport import_neuronpedia(Atlas& atlas, const fs::path& folder);
void judge_neuronpedia(const fs::path& folder, Judge& judge);
std::vector<fs::path> export_neuronpedia(Atlas& atlas, const fs::path& folder,
                                         const std::string& sae = {});

}  // namespace safesail
