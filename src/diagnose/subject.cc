#include "diagnose/subject.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

#include "atlas/atlas.h"
#include "base/error.h"
#include "harvest/same_model.h"
#include "model/mlp_norm.h"
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

SiteAndSae load(const fs::path& path, std::optional<std::int64_t> k, const ModelIdentity& model,
                bool any_model, const ModelSpec& spec) {
  ReadOptions options;
  options.k = k;
  options.post_norms = spec.post_norms;
  options.mlp_norm = [&](int layer) { return read_mlp_norm(model.path(), layer); };
  ImportedSae imported = read_any_sae(path, {}, options);
  if (!any_model) require_same_model(imported.provenance, model, path.string());
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

/// What the atlas knows of an SAE that it has under this name.
KnownSae::Reader reader_of(const SaeRow& row) {
  return [model = row.model, name = row.name](Atlas& atlas) {
    const auto sae = atlas.find_sae(model, name);
    return sae ? atlas.known_features(*sae) : std::vector<KnownFeature>();
  };
}

}  // namespace

KnownFeatures::KnownFeatures(std::string_view sae, std::int64_t n_features,
                             std::vector<KnownFeature> features)
    : features_(std::move(features)), place_(static_cast<std::size_t>(n_features), -1) {
  for (std::size_t i = 0; i < features_.size(); ++i) {
    const std::int32_t feature = features_[i].feature;
    if (feature < 0 || feature >= n_features || place_[static_cast<std::size_t>(feature)] >= 0)
      bad_input(std::string(sae),
                fmt::format("expected features below {}, each once, got {}", n_features, feature),
                "the atlas belongs to another SAE: name the one that it was made with");
    place_[static_cast<std::size_t>(feature)] = static_cast<std::int32_t>(i);
  }
}

const KnownFeature* KnownFeatures::find(std::int32_t feature) const {
  const std::int32_t place = place_[static_cast<std::size_t>(feature)];
  return place < 0 ? nullptr : &features_[static_cast<std::size_t>(place)];
}

KnownSae::KnownSae(std::string name, Site site, Sae sae, std::vector<KnownFeature> features,
                   Reader reader)
    : name_(std::move(name)),
      site_(site),
      sae_(std::move(sae)),
      reader_(std::move(reader)),
      now_(std::make_unique<Now>()) {
  now_->known =
      std::make_shared<const KnownFeatures>(name_, sae_.spec().n_features, std::move(features));
}

std::shared_ptr<const KnownFeatures> KnownSae::known() const {
  const std::scoped_lock lock(now_->mutex);
  return now_->known;
}

void KnownSae::refresh(Atlas& atlas) {
  if (!reader_) return;
  auto known = std::make_shared<const KnownFeatures>(name_, sae_.spec().n_features, reader_(atlas));
  const std::scoped_lock lock(now_->mutex);
  now_->known = std::move(known);
}

Subject subject_of_run(const RunFiles& run, const LoadOptions& options, Reporter& reporter) {
  Atlas atlas(atlas_path(run.atlas.empty() ? run.run : run.atlas), Atlas::Mode::read);
  const std::string model = run.model.empty() ? named_model(run.run) : run.model;
  const ModelIdentity identity(model);
  Subject subject{fs::path(model).stem().string(), load_text_model(model, options, reporter), {}};
  std::vector<fs::path> files;
  if (fs::is_directory(run.run / "sae"))
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(run.run / "sae"))
      if (entry.path().filename() == kSaeFile) files.push_back(entry.path());
  for (const SaeRow& row : atlas.saes()) {
    const auto file = std::ranges::find_if(
        files, [&](const fs::path& path) { return name_of_file(path) == row.name; });
    if (file == files.end()) continue;
    SiteAndSae loaded =
        load(*file, std::nullopt, identity, run.any_model, subject.model.model.spec());
    const KnownSae::Reader reader = reader_of(row);
    subject.saes.emplace_back(row.name, loaded.site, std::move(loaded.sae), reader(atlas), reader);
  }
  if (subject.saes.empty())
    bad_input(run.run.string(),
              fmt::format("expected SAEs that the atlas {} knows features of, got none",
                          atlas.path().string()),
              run.atlas.empty() ? "run the stages up to `exemplars` first: safesail run"
                                : "name the atlas that was made of this run");
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
  const ModelIdentity identity(files.model);
  std::set<std::string> taken;
  for (const std::string& path : files.saes) {
    SiteAndSae loaded = load(path, files.k, identity, files.any_model, subject.model.model.spec());
    std::string name = name_of_file(path);
    KnownSae::Reader reader;
    if (const SaeRow* row = row_for(rows, name, to_string(loaded.site))) {
      name = row->name;
      reader = reader_of(*row);
    }
    if (!taken.insert(name).second)
      bad_input(path, fmt::format("expected SAEs of different names, got {} twice", name),
                "let each lie in folders of its own: SITE/NAME/");
    subject.saes.emplace_back(name, loaded.site, std::move(loaded.sae),
                              reader ? reader(*atlas) : std::vector<KnownFeature>(), reader);
  }
  return subject;
}

}  // namespace safesail
