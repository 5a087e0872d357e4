#include "diagnose/release_subject.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <memory>

#include "atlas/atlas.h"
#include "atlas/release.h"
#include "base/error.h"
#include "formats/torch_pickle.h"
#include "sae/convert.h"
#include "sae/dialects/tensor_set.h"

namespace safesail {
namespace {

constexpr double kProbability = 0.999;
constexpr const char* kTop = "top_neuron_activations";

fs::path data_folder(const fs::path& folder) {
  for (const fs::path& data : {folder, folder / "data"})
    if (fs::is_directory(data / "sae_checkpoints")) return data;
  bad_input(folder.string(), "expected sae_checkpoints/ in it",
            "give the folder of the published release");
}

/// The quantile of each selected feature; of one selected twice the first column counts.
std::map<std::int32_t, double> read_quantiles(const fs::path& path,
                                              const std::vector<std::int64_t>& selected) {
  const auto file = std::make_shared<TorchFile>(path);
  if (file->root().dict() == nullptr)
    bad_input(path.string(), "expected a dict, got " + file->root().kind(),
              "fetch the release again");
  const TensorSet tensors = TensorSet::from_torch(file, *file->root().dict());
  const auto [n_top, n_columns] = tensors.matrix(kTop);
  if (n_columns != static_cast<std::int64_t>(selected.size()) || n_top > kRecordedValues)
    tensors.refuse(kTop,
                   fmt::format("expected {} columns, one a selected feature", selected.size()),
                   "fetch indices and quantiles of the same release");
  std::vector<float> columns(static_cast<std::size_t>(n_top * n_columns));
  tensors.read_transposed(kTop, n_top, n_columns, columns);
  std::map<std::int32_t, double> quantiles;
  for (std::size_t i = 0; i < selected.size(); ++i) {
    const auto n = static_cast<std::size_t>(n_top);
    const std::span<const float> top = std::span(columns).subspan(i * n, n);
    if (!std::ranges::is_sorted(top))
      tensors.refuse(kTop, fmt::format("column {} does not rise", i), "fetch the release again");
    quantiles.emplace(static_cast<std::int32_t>(selected[i]),
                      quantile_of_top(top, kRecordedValues, kProbability));
  }
  return quantiles;
}

std::vector<KnownFeature> known_of_layer(Atlas& atlas, std::int32_t layer,
                                         const std::map<std::int32_t, double>& quantiles) {
  std::vector<KnownFeature> known;
  const std::string site = fmt::format("mlp_out.{}", layer);
  for (const SaeRow& row : atlas.saes()) {
    if (row.site != site) continue;
    for (KnownFeature& feature : atlas.known_features(*atlas.find_sae(row.model, row.name)))
      if (const auto found = quantiles.find(feature.feature); found != quantiles.end()) {
        feature.quantile = found->second;
        known.push_back(std::move(feature));
      }
    break;
  }
  return known;
}

}  // namespace

double quantile_of_top(std::span<const float> top, std::int64_t n, double p) {
  SAFESAIL_CHECK(!top.empty() && n >= static_cast<std::int64_t>(top.size()));
  // The rank, from 0 and fractional; what rounding adds to a whole rank is far below 1e-6.
  const double rank = p * static_cast<double>(n) -
                      static_cast<double>(n - static_cast<std::int64_t>(top.size())) - 1;
  const double whole = std::floor(rank + 1e-6);
  if (whole < 0) return top.front();
  const auto below = static_cast<std::size_t>(whole);
  if (below + 1 >= top.size()) return top.back();
  const double share = std::max(0.0, rank - whole);
  return top[below] + share * (static_cast<double>(top[below + 1]) - top[below]);
}

fs::path release_database(const fs::path& folder) {
  for (const fs::path& data : {folder, folder / "data"})
    for (const fs::path& database : {data / "neuron_db", data})
      if (is_release(database)) return database;
  bad_input(folder.string(), "expected neuron_db/en_db.json or neuron_db/cn_db.json in it",
            "give the folder of the published release");
}

Subject subject_of_release(const ReleaseFiles& files, const LoadOptions& options,
                           Reporter& reporter) {
  const fs::path data = data_folder(files.folder);
  Judge judge;
  std::map<std::int32_t, std::vector<std::int64_t>> selected = read_selected(data, judge);
  if (selected.empty())
    bad_input((data / "activation" / "indices").string(),
              "expected indices_layer<L>.pt of at least one layer", "fetch the release again");
  Atlas atlas(atlas_path(files.atlas), Atlas::Mode::read);
  Subject subject{
      fs::path(files.model).stem().string(), load_text_model(files.model, options, reporter), {}};
  const int n_layers = static_cast<int>(subject.model.model.spec().n_layers);
  for (const auto& [layer, features] : selected) {
    ReadOptions read;
    read.k = files.k;
    const fs::path checkpoint = data / "sae_checkpoints" / fmt::format("ckpt_layer{}.pt", layer);
    ImportedSae imported = read_any_sae(checkpoint, "safe-sail", read);
    if (imported.sae.spec().d_in != subject.model.model.spec().d_model)
      bad_input(checkpoint.string(),
                fmt::format("expected an SAE of width {}, the model's, got {}",
                            subject.model.model.spec().d_model, imported.sae.spec().d_in),
                fmt::format("use the model of the release, {}", kReleaseModel));
    const fs::path quantiles =
        data / "activation" / "quantiles" / fmt::format("quantile_layer{}.pt", layer);
    const std::string site = fmt::format("mlp_out.{}", layer);
    const KnownSae::Reader reader = [layer = layer,
                                     quantiles = read_quantiles(quantiles, features)](Atlas& now) {
      return known_of_layer(now, layer, quantiles);
    };
    subject.saes.emplace_back(site + "/safe-sail", parse_site(site, n_layers),
                              std::move(imported.sae), reader(atlas), reader);
  }
  return subject;
}

}  // namespace safesail
