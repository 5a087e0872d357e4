// The published Safe-SAIL release: en_db.json, cn_db.json and indices/indices_layer<L>.pt, into an
// atlas and out of it. Format:
// docs/formats/safe_sail_release.md.
//
// Import reads and checks everything first, then writes in one transaction.
// Export writes each file atomically.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "atlas/atlas.h"
#include "atlas/judge.h"

namespace safesail {

struct ReleaseEntry {
  std::int32_t layer = 0, feature = 0;
  std::optional<std::string> text;  ///< null where nothing was published
  double score = kUnknown;          ///< Pearson; null where unknown
  std::vector<std::string> tags;
};

struct Release {
  /// By our name of the language: "en", "zh".
  std::map<std::string, std::vector<ReleaseEntry>> entries;
  /// By layer, as the files hold them: unsorted, with repeats.
  std::map<std::int32_t, std::vector<std::int64_t>> selected;
};

bool is_release(const fs::path& folder);
/// Release::selected: the files below `folder`/indices and `folder`/activation/indices.
std::map<std::int32_t, std::vector<std::int64_t>> read_selected(const fs::path& folder,
                                                                Judge& judge);
Release read_release(const fs::path& folder, Judge& judge);

/// What came in.
struct ImportReport {
  std::int64_t n_saes = 0, n_features = 0, n_explanations = 0, n_scores = 0, n_exemplars = 0;
};

/// The model whose features the release describes; see docs/formats/safe_sail_release.md.
inline constexpr const char* kReleaseModel = "Qwen2.5-3B-Instruct";
ImportReport import_release(Atlas& atlas, const fs::path& folder);

/// Writes the file of each language that the atlas has explanations in (English, Chinese) into
/// `folder`; of one SAE unless `sae` is empty. An input error when two features would have one
/// name. Gives the files.
std::vector<fs::path> export_release(Atlas& atlas, const fs::path& folder,
                                     const std::string& sae = {});

}  // namespace safesail
