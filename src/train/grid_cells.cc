#include "train/grid_cells.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "sae/architecture.h"

namespace safesail {
namespace {

struct Ends {
  std::string in, out;
};

Ends ends_of(const std::string& transcoder) {
  const std::size_t colon = transcoder.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == transcoder.size())
    bad_input("--transcoder", fmt::format("expected two sites, got \"{}\"", transcoder),
              "write the one it reads, a colon, and the one it reconstructs: mlp_in.5:mlp_out.5");
  return {transcoder.substr(0, colon), transcoder.substr(colon + 1)};
}

/// Keys of activation files may be any text.
std::string as_folder(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

/// One width of the dictionary, and how it is written in a folder's name.
struct Width {
  std::int64_t n_features;
  std::string suffix;
};

std::vector<Width> widths_for(const GridLists& lists, std::int64_t d) {
  std::vector<Width> widths;
  for (const std::int64_t n : lists.n_features) widths.push_back({n, fmt::format("-f{}", n)});
  if (widths.empty())
    for (const double x : lists.expansions)
      widths.push_back({std::llround(x * static_cast<double>(d)), fmt::format("-x{}", x)});
  if (widths.size() == 1) widths.front().suffix.clear();
  return widths;
}

SaeSpec spec_of(const GridLists& lists, const std::string& architecture, const Ends& ends,
                const std::map<std::string, std::int64_t>& widths, std::int64_t n_features,
                std::int64_t k) {
  SaeSpec spec = trained_spec(architecture, widths.at(ends.in), n_features, k);
  if (ends.in != ends.out) {
    spec.d_out = widths.at(ends.out);
    spec.transcoder = true;
    spec.skip = lists.skip;
    spec.apply_b_dec_to_input = false;
  }
  check(spec);
  find_architecture(architecture).check(spec, lists.trainer);
  return spec;
}

void check_lists(const GridLists& lists) {
  if (lists.sites.empty() && lists.transcoders.empty())
    bad_input("grid", "expected at least one site", "name one, as in --sites mlp_out.3");
  if (lists.architectures.empty() || lists.ks.empty() || lists.n_seeds < 1 ||
      (lists.expansions.empty() && lists.n_features.empty()))
    bad_input("grid", "expected at least one architecture, k, width and seed",
              "give --arch, --k, --expansion and --seeds");
  if (lists.skip && lists.transcoders.empty())
    bad_input("--skip", "expected transcoders, got none",
              "a skip connection belongs to a transcoder; name one with --transcoder");
}

}  // namespace

fs::path GridCell::file(const fs::path& run, const char* name) const {
  return run / "sae" / folder / name;
}

std::vector<std::string> sites_of(const GridLists& lists) {
  std::vector<std::string> sites = lists.sites;
  for (const std::string& transcoder : lists.transcoders) {
    const Ends ends = ends_of(transcoder);
    for (const std::string& site : {ends.in, ends.out})
      if (std::find(sites.begin(), sites.end(), site) == sites.end()) sites.push_back(site);
  }
  return sites;
}

std::int64_t dead_after(const GridLists& lists, std::uint64_t n_tokens) {
  constexpr std::int64_t kLongRun = 10'000'000;
  if (lists.trainer.dead_after_tokens > 0) return lists.trainer.dead_after_tokens;
  return std::clamp<std::int64_t>(std::int64_t(n_tokens / 10), 1, kLongRun);
}

std::vector<GridCell> make_cells(const GridLists& lists,
                                 const std::map<std::string, std::int64_t>& widths,
                                 std::uint64_t n_tokens) {
  check_lists(lists);
  TrainerOptions trainer = lists.trainer;
  trainer.dead_after_tokens = dead_after(lists, n_tokens);
  std::vector<Ends> all_ends;
  for (const std::string& site : lists.sites) all_ends.push_back({site, site});
  for (const std::string& transcoder : lists.transcoders) all_ends.push_back(ends_of(transcoder));

  std::vector<GridCell> cells;
  for (const Ends& ends : all_ends)
    for (const std::string& architecture : lists.architectures)
      for (const Width& width : widths_for(lists, widths.at(ends.in)))
        for (const std::int64_t k : lists.ks)
          for (std::int64_t s = 0; s < lists.n_seeds; ++s) {
            const std::uint64_t seed = lists.seed + static_cast<std::uint64_t>(s);
            const std::string where =
                ends.in == ends.out ? ends.in : fmt::format("{}__{}", ends.in, ends.out);
            const std::string sparsity =
                k > 0 ? fmt::format("-k{}", k) : fmt::format("-p{}", lists.trainer.penalty);
            const std::string by_seed = lists.n_seeds > 1 ? fmt::format("-s{}", seed) : "";
            cells.push_back(
                {.folder = fmt::format("{}/{}{}{}{}", as_folder(where), architecture, sparsity,
                                       width.suffix, by_seed),
                 .site = ends.in,
                 .output_site = ends.out,
                 .spec = spec_of(lists, architecture, ends, widths, width.n_features, k),
                 .seed = seed,
                 .trainer = trainer});
          }
  std::vector<std::string> folders;
  for (const GridCell& cell : cells) folders.push_back(cell.folder);
  std::sort(folders.begin(), folders.end());
  const auto twice = std::adjacent_find(folders.begin(), folders.end());
  if (twice != folders.end())
    bad_input("grid", fmt::format("expected different SAEs, got {} twice", *twice),
              "name every site, architecture, k and width once");
  return cells;
}

}  // namespace safesail
