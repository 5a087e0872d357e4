#include "train/evaluation_cells.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "harvest/same_model.h"
#include "sae/checkpoint.h"

namespace safesail {
namespace {

auto order(const EvaluationCell& cell) {
  const SaeIdentity& id = cell.id;
  return std::tuple(cell.output.layer, cell.output.kind, cell.input, id.architecture, id.n_features,
                    id.k, id.seed, id.path);
}

}  // namespace

std::string site_name(const SaeIdentity& id) {
  return id.output_site == id.site ? id.site : id.site + ">" + id.output_site;
}

std::string short_name(const SaeIdentity& id) {
  std::string name = id.architecture;
  if (id.k > 0) name += fmt::format(" k{}", id.k);
  name += fmt::format(" {}", id.n_features);
  if (id.seed != 0) name += fmt::format(" #{}", id.seed);
  return name;
}

bool alike(const SaeIdentity& a, const SaeIdentity& b) {
  const auto all = [](const SaeIdentity& id) {
    return std::tie(id.site, id.output_site, id.architecture, id.k, id.n_features);
  };
  return all(a) == all(b);
}

EvaluationCell make_cell(const Site& input, const Site& output, Sae sae, std::uint64_t seed) {
  const SaeSpec& spec = sae.spec();
  return {.id = {.site = to_string(input),
                 .output_site = to_string(output),
                 .architecture = spec.architecture,
                 .k = spec.k,
                 .n_features = spec.n_features,
                 .seed = seed,
                 .path = {}},
          .input = input,
          .output = output,
          .sae = std::move(sae)};
}

EvaluationCell load_cell(const fs::path& path, int n_layers, const ModelIdentity* model,
                         const std::string& site) {
  LoadedSae loaded = load_sae(path);
  if (model != nullptr) require_same_model(loaded.provenance, *model, path.string());
  const std::string& input = site.empty() ? loaded.provenance.site : site;
  if (input.empty())
    bad_input(path.string(), "expected the site that the SAE reads, its file names none",
              "name it with --site, as in --site resid_post.12");
  if (loaded.provenance.encoder_only)
    bad_input(path.string(), "expected an SAE with a decoder, got an encoder alone",
              "it can be encoded with and diagnosed with, not evaluated");
  const std::string& output = loaded.provenance.output_site;
  EvaluationCell cell =
      make_cell(parse_site(input, n_layers), parse_site(output.empty() ? input : output, n_layers),
                std::move(loaded.sae), loaded.provenance.seed);
  cell.id.path = path.string();
  return cell;
}

std::vector<EvaluationCell> load_cells(const fs::path& run, int n_layers,
                                       const ModelIdentity* model) {
  std::vector<fs::path> files;
  std::uint64_t bytes = 0;
  if (fs::is_directory(run / "sae"))
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run / "sae"))
      if (entry.path().filename() == "sae.safetensors") {
        files.push_back(entry.path());
        bytes += entry.file_size();
      }
  if (files.empty())
    bad_input((run / "sae").string(), "expected trained SAEs, got none",
              "train some first: safesail train");
  require_memory(bytes, fmt::format("{} SAEs together", files.size()),
                 "free some; or evaluate and select fewer, named one by one: --sae FILE");
  std::vector<EvaluationCell> cells;
  for (const fs::path& file : files) cells.push_back(load_cell(file, n_layers, model));
  std::ranges::sort(cells, {}, order);
  return cells;
}

}  // namespace safesail
