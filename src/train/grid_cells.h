// The SAEs of a grid: what each reads, reconstructs and is, and where it lies in its run.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "sae/trainer.h"

namespace safesail {

struct GridCell {
  /// Below `<run>/sae/`: "mlp_out.5/topk-k32". Names the cell in logs and messages, too.
  std::string folder;
  std::string site;         ///< that it reads
  std::string output_site;  ///< that it reconstructs; as `site` but for a transcoder
  SaeSpec spec;
  std::uint64_t seed = 0;  ///< of its weights
  TrainerOptions trainer;

  /// `<run>/sae/<folder>/<name>`.
  fs::path file(const fs::path& run, const char* name = "sae.safetensors") const;
};

/// Every combination of the lists is a cell.
struct GridLists {
  std::vector<std::string> sites;        ///< an SAE each
  std::vector<std::string> transcoders;  ///< "mlp_in.5:mlp_out.5"
  std::vector<std::string> architectures = {"topk"};
  /// Active features a token; for an architecture that does not fix them the L0 it aims at (0:
  /// none, then `trainer.penalty` rules).
  std::vector<std::int64_t> ks = {32};
  std::vector<double> expansions = {8};  ///< n_features = expansion * width of the site
  std::vector<std::int64_t> n_features;  ///< in place of expansions where not empty
  std::int64_t n_seeds = 1;              ///< seed, seed + 1, ...
  std::uint64_t seed = 0;
  bool skip = false;  ///< transcoders get a skip connection
  /// AuxK as Gao et al. 2024; dead_after_tokens 0: by the budget.
  TrainerOptions trainer{.auxk_coefficient = 1.0 / 32, .dead_after_tokens = 0};
};

/// After how many silent tokens the lists call a feature dead, in a run of `n_tokens`: as they say,
/// else a tenth of the budget, at most the ten million that are usual in long runs. So that every
/// run has time to revive what dies in it.
std::int64_t dead_after(const GridLists& lists, std::uint64_t n_tokens);

/// The sites that must be read: those of the SAEs, then those that only transcoders use.
std::vector<std::string> sites_of(const GridLists& lists);

/// For a run of `n_tokens`, in the order of sites, transcoders, architectures, expansions, ks,
/// seeds. `widths` by site. Suffixes for width and seed are in a folder's name only where there are
/// several. An input error when a cell makes no sense.
std::vector<GridCell> make_cells(const GridLists& lists,
                                 const std::map<std::string, std::int64_t>& widths,
                                 std::uint64_t n_tokens);

}  // namespace safesail
