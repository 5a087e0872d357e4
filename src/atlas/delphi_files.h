// The files of a delphi directory, each read and checked by itself. A file that breaks the format
// is an input error that says where.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "atlas/records.h"
#include "base/file.h"
#include "formats/json.h"

namespace safesail::delphi {

/// "layers.10.mlp_latent5.txt": hook point and latent.
struct LatentFile {
  fs::path path;
  std::string hookpoint;
  std::int32_t latent = 0;
};
/// The files of `folder` that are named so, by hook point and latent; none when there is no folder.
std::vector<LatentFile> latent_files(const fs::path& folder);

/// "layers.10" -> "resid_post.10", "layers.10.mlp" -> "mlp_out.10"; else the hook point.
std::string site_of_hookpoint(const std::string& hookpoint);
/// The other way; a site that has no such name stays.
std::string hookpoint_of_site(const std::string& site);
/// The first number in it; 0 where there is none.
std::int32_t layer_of_hookpoint(const std::string& hookpoint);

Explanation read_explanation(const fs::path& path);

/// A window that a scorer asked about, and what came of it.
struct Asked {
  Exemplar exemplar;
  Json row;  ///< the rest of it
};
struct ScoreFile {
  Score score;
  std::vector<Asked> asked;  ///< detection, fuzzing
};
/// `scorer`: "detection", "fuzz" or "simulation", the name of the folder.
ScoreFile read_score(const fs::path& path, const std::string& scorer);
/// Of one window, as read_score() reads it.
Json score_row(const Window& window, Json rest);

/// What a file latents/<hookpoint>/<first>_<last>.safetensors says of each latent that fires.
struct LatentStatistics {
  std::uint64_t n_tokens = 0;
  struct One {
    std::uint64_t n_active = 0;
    float max_activation = 0;
  };
  std::map<std::int32_t, One> latents;
};
LatentStatistics read_cache(const fs::path& path);

}  // namespace safesail::delphi
