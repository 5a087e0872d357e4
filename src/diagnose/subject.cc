#include "diagnose/subject.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

#include "atlas/atlas.h"
#include "base/error.h"
#include "sae/convert.h"
#include "stages/run_manifest.h"

namespace safesail {
namespace {

constexpr const char* kSaeFile = "sae.safetensors";

/// "mlp_out.15/topk-k32" of ".../mlp_out.15/topk-k32/sae.safetensors".
std::string name_of_file(const fs::path& path) {
  const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
  return (folder.parent_path().filename() / folder.filename()).string();
}

std::string named_model(const fs::path& run) {
  const std::optional<fs::path> model = model_of_run(run);
  if (!model)
    bad_input((run / "manifest.json").string(),
              "expected the model that the run was made with, got none", "name it with --model");
  return model->string();
}

struct SiteAndSae {
  Site site;
  Sae sae;
};

SiteAndSae load(const fs::path& path, std::optional<std::int64_t> k, const ModelSpec& spec) {
  ReadOptions options;
  options.k = k;
  ImportedSae imported = read_any_sae(path, {}, options);
  if (imported.provenance.site.empty())
    bad_input(path.string(), "expected the site that the SAE reads, its file names none",
              "convert it with `safesail sae convert --site`");
  if (imported.sae.spec().d_in != spec.d_model)
    bad_input(path.string(),
              fmt::format("expected an SAE of width {}, the model's, got {}", spec.d_model,
                          imported.sae.spec().d_in),
              "use the SAE with the model that it was trained on");
  return {parse_site(imported.provenance.site, static_cast<int>(spec.n_layers)),
          std::move(imported.sae)};
}

/// The atlas's row for an SAE file, as subject_of_files() says.
const SaeRow* row_for(const std::vector<SaeRow>& rows, const std::string& name,
                      const std::string& site) {
  const auto named = std::ranges::find(rows, name, &SaeRow::name);
  if (named != rows.end()) return &*named;
  const auto there = std::ranges::find(rows, site, &SaeRow::site);
  return there != rows.end() && std::ranges::count(rows, site, &SaeRow::site) == 1 ? &*there
                                                                                   : nullptr;
}

std::vector<KnownFeature> features_of(Atlas& atlas, const SaeRow& row) {
  return atlas.known_features(*atlas.find_sae(row.model, row.name));
}

}  // namespace

KnownSae::KnownSae(std::string name, Site site, Sae sae, std::vector<KnownFeature> features)
    : name_(std::move(name)), site_(site), sae_(std::move(sae)), features_(std::move(features)) {
  place_.assign(static_cast<std::size_t>(sae_.spec().n_features), -1);
  for (std::size_t i = 0; i < features_.size(); ++i) {
    const std::int32_t feature = features_[i].feature;
    if (feature < 0 || feature >= sae_.spec().n_features ||
        place_[static_cast<std::size_t>(feature)] >= 0)
      bad_input(name_,
                fmt::format("expected features below {}, each once, got {}", sae_.spec().n_features,
                            feature),
                "the atlas belongs to another SAE: name the one that it was "
                "made with");
    place_[static_cast<std::size_t>(feature)] = static_cast<std::int32_t>(i);
  }
}

const KnownFeature* KnownSae::find(std::int32_t feature) const {
  const std::int32_t place = place_[static_cast<std::size_t>(feature)];
  return place < 0 ? nullptr : &features_[static_cast<std::size_t>(place)];
}

Subject subject_of_run(const fs::path& run, const std::string& model, const LoadOptions& options,
                       Reporter& reporter) {
  Atlas atlas(atlas_path(run), Atlas::Mode::read);
  const std::string model_path = model.empty() ? named_model(run) : model;
  Subject subject{
      fs::path(model_path).stem().string(), load_text_model(model_path, options, reporter), {}};
  std::vector<fs::path> files;
  if (fs::is_directory(run / "sae"))
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run / "sae"))
      if (entry.path().filename() == kSaeFile) files.push_back(entry.path());
  for (const SaeRow& row : atlas.saes()) {
    const auto file = std::ranges::find_if(
        files, [&](const fs::path& path) { return name_of_file(path) == row.name; });
    if (file == files.end()) continue;
    SiteAndSae loaded = load(*file, std::nullopt, subject.model.model.spec());
    subject.saes.emplace_back(row.name, loaded.site, std::move(loaded.sae),
                              features_of(atlas, row));
  }
  if (subject.saes.empty())
    bad_input(run.string(), "expected SAEs that the run's atlas knows features of, got none",
              "run the stages up to `exemplars` first: safesail run");
  std::ranges::sort(subject.saes, {}, [](const KnownSae& sae) {
    return std::pair(sae.site().layer, sae.site().kind);
  });
  return subject;
}

Subject subject_of_files(const SubjectFiles& files, const LoadOptions& options,
                         Reporter& reporter) {
  if (files.saes.empty())
    bad_input("--sae", "expected at least one SAE, got none", "name a file or folder of one");
  Subject subject{
      fs::path(files.model).stem().string(), load_text_model(files.model, options, reporter), {}};
  std::optional<Atlas> atlas;
  std::vector<SaeRow> rows;
  if (!files.atlas.empty()) {
    atlas.emplace(atlas_path(files.atlas), Atlas::Mode::read);
    rows = atlas->saes();
  }
  std::set<std::string> taken;
  for (const std::string& path : files.saes) {
    SiteAndSae loaded = load(path, files.k, subject.model.model.spec());
    std::string name = name_of_file(path);
    std::vector<KnownFeature> features;
    if (const SaeRow* row = row_for(rows, name, to_string(loaded.site))) {
      name = row->name;
      features = features_of(*atlas, *row);
    }
    if (!taken.insert(name).second)
      bad_input(path, fmt::format("expected SAEs of different names, got {} twice", name),
                "let each lie in folders of its own: SITE/NAME/");
    subject.saes.emplace_back(name, loaded.site, std::move(loaded.sae), std::move(features));
  }
  return subject;
}

}  // namespace safesail
