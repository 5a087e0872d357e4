// The SAEs that an evaluation is about, with everything that tells them apart: those of a run, or
// files named one by one, wherever they come from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "model/identity.h"
#include "model/site.h"
#include "sae/sae.h"

namespace safesail {

/// What an SAE is called in tables, reports and records.
struct SaeIdentity {
  std::string site;         ///< that it reads
  std::string output_site;  ///< that it reconstructs; as `site` but for a transcoder
  std::string architecture;
  std::int64_t k = 0;  ///< 0: none was aimed at
  std::int64_t n_features = 0;
  std::uint64_t seed = 0;
  std::string path;  ///< empty: not from a file
};

/// "mlp_out.5", of a transcoder "mlp_in.5>mlp_out.5".
std::string site_name(const SaeIdentity& id);
/// "topk k32 4608", with " #1" for a seed other than 0.
std::string short_name(const SaeIdentity& id);
/// Whether two differ in nothing but seed and path.
bool alike(const SaeIdentity& a, const SaeIdentity& b);

struct EvaluationCell {
  SaeIdentity id;
  Site input, output;
  Sae sae;
};

/// A cell that is not from a file.
EvaluationCell make_cell(const Site& input, const Site& output, Sae sae, std::uint64_t seed = 0);

/// For `model`, which an SAE that says so must have been trained on; null: for any.
/// `site`, unless empty, stands in for what the file says.
EvaluationCell load_cell(const fs::path& path, int n_layers, const ModelIdentity* model,
                         const std::string& site = {});

/// Every `sae.safetensors` below `<run>/sae/`, by layer, site, architecture, width, k and seed.
std::vector<EvaluationCell> load_cells(const fs::path& run, int n_layers,
                                       const ModelIdentity* model);

}  // namespace safesail
