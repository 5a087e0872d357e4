#include "atlas/delphi.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <set>

#include "atlas/delphi_files.h"
#include "atlas/output.h"
#include "atlas/record_rows.h"
#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

using namespace delphi;

constexpr std::array<const char*, 3> kScorers = {"detection", "fuzz", "simulation"};

std::vector<fs::path> cache_files(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder / "latents")) return files;
  for (const fs::directory_entry& hookpoint : fs::directory_iterator(folder / "latents"))
    if (hookpoint.is_directory())
      for (const fs::directory_entry& item : fs::directory_iterator(hookpoint.path()))
        if (item.path().extension() == ".safetensors") files.push_back(item.path());
  std::sort(files.begin(), files.end());
  return files;
}

Json read_config(const fs::path& folder) {
  const fs::path path = folder / "run_config.json";
  return fs::exists(path) ? read_json(path) : Json::object();
}

std::string model_of(const Json& config, const fs::path& folder) {
  return JsonObject(config, (folder / "run_config.json").string())
      .get_or<std::string>("model", "unknown");
}

/// Makes SAEs and features as files name them.
class Importer {
 public:
  Importer(Atlas& atlas, const fs::path& folder)
      : atlas_(atlas), config_(read_config(folder)), model_(model_of(config_, folder)) {}

  ImportReport report;

  void put_cache(const fs::path& path) {
    const std::string hookpoint = path.parent_path().filename().string();
    const LatentStatistics statistics = read_cache(path);
    for (const auto& [latent, one] : statistics.latents) {
      FeatureRecord record;
      record.feature = latent;
      record.n_tokens = statistics.n_tokens;
      record.n_active = one.n_active;
      record.max_activation = one.max_activation;
      features_[{hookpoint, latent}] = {atlas_.put_feature(sae(hookpoint), record), {}};
      ++report.n_features;
    }
  }

  void put_explanation(const LatentFile& file) {
    Feature& feature = feature_of(file);
    feature.explanation = atlas_.put_explanation(feature.id, read_explanation(file.path));
    ++report.n_explanations;
  }

  void put_score(const LatentFile& file, const std::string& scorer) {
    Feature& feature = feature_of(file);
    ScoreFile read = read_score(file.path, scorer);
    if (feature.explanation == 0)
      bad_input(file.path.string(), "there is no explanation that it could be the score of",
                "run delphi again for this latent");
    if (!read.asked.empty()) {
      Json details = Json::parse(read.score.details), rows = Json::array();
      for (Asked& asked : read.asked) {
        write_exemplar(atlas_.database(), feature.id, feature.n_exemplars, asked.exemplar);
        const Json& prediction = asked.row["prediction"];
        read.score.simulations.push_back(
            {feature.n_exemplars++,
             {prediction.is_boolean() && prediction.get<bool>() ? 1.0F : 0.0F}});
        rows.push_back(std::move(asked.row));
        ++report.n_exemplars;
      }
      details["delphi"] = std::move(rows);
      read.score.details = dump_json(details);
    }
    atlas_.put_score(feature.explanation, read.score);
    ++report.n_scores;
  }

 private:
  struct Feature {
    std::int64_t id = 0, explanation = 0;
    std::size_t n_exemplars = 0;
  };

  std::int64_t sae(const std::string& hookpoint) {
    const auto [found, is_new] = saes_.try_emplace(hookpoint, 0);
    if (is_new) {
      found->second = atlas_.put_sae({model_, hookpoint, site_of_hookpoint(hookpoint),
                                      layer_of_hookpoint(hookpoint), "", 0,
                                      dump_json(Json{{"delphi", config_}})});
      ++report.n_saes;
    }
    return found->second;
  }

  Feature& feature_of(const LatentFile& file) {
    const auto [found, is_new] = features_.try_emplace({file.hookpoint, file.latent});
    if (is_new) {
      FeatureRecord record;
      record.feature = file.latent;
      found->second.id = atlas_.put_feature(sae(file.hookpoint), record);
      ++report.n_features;
    }
    return found->second;
  }

  Atlas& atlas_;
  Json config_;
  std::string model_;
  std::map<std::string, std::int64_t> saes_;
  std::map<std::pair<std::string, std::int32_t>, Feature> features_;
};

/// delphi has one explanation a latent: ours is the headline.
const ExplanationWithScores* headline_of(Atlas& atlas, const FeatureEntry& entry) {
  const auto id =
      atlas.database().find_integer("SELECT headline FROM features WHERE id = ?", entry.id);
  for (const ExplanationWithScores& item : entry.explanations)
    if (item.explanation.id == *id) return &item;
  return nullptr;
}

/// The rows of a detection or fuzzing score: as they came, or of its simulations.
Json rows_of(const Score& score, const FeatureRecord& record, const Json& kept) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < score.simulations.size(); ++i) {
    const Simulation& simulation = score.simulations[i];
    if (simulation.exemplar >= record.exemplars.size()) continue;
    const Window& window = record.exemplars[simulation.exemplar].window;
    Json rest;
    if (kept.is_array() && kept.size() == score.simulations.size()) {
      rest = kept[i];
    } else {
      if (simulation.values.size() != 1) continue;
      const bool activating = window.max_activation() > 0;
      const bool prediction = simulation.values[0] >= 0.5F;
      rest = {{"distance", activating ? record.exemplars[simulation.exemplar].level : -1},
              {"activating", activating},
              {"prediction", prediction},
              {"probability", simulation.values[0]},
              {"correct", activating == prediction}};
    }
    rows.push_back(score_row(window, rest));
  }
  return rows;
}

Json simulation_of(const Score& score, const Json& kept) {
  if (kept.is_array()) return kept;
  return Json::array(
      {{{"distance", 0},
        {"ev_correlation_score", std::isfinite(score.value) ? Json(score.value) : Json(nullptr)},
        {"rsquared_score", 0},
        {"absolute_dev_explained_score", 0},
        {"scored_sequence_simulations", Json::array()}}});
}

std::string text_of(const Json& json) {
  return dump_json(json, {.ascii = true});
}

void export_feature(const FeatureEntry& entry, const ExplanationWithScores& item,
                    const std::string& name, const fs::path& root) {
  write_file(root / "explanations" / name, text_of(item.explanation.short_text));
  for (const Score& score : item.scores) {
    const Json details = parse_json(score.details, "details of a score");
    const Json kept = details.is_object() ? details.value("delphi", Json()) : Json();
    if (score.key.scorer == "detection" || score.key.scorer == "fuzzing") {
      const Json rows = rows_of(score, entry.record, kept);
      if (!rows.empty())
        write_file(root / "scores" / (score.key.scorer == "fuzzing" ? "fuzz" : "detection") / name,
                   text_of(rows));
    } else if (score.key.scorer == "token") {
      write_file(root / "scores" / "simulation" / name, text_of(simulation_of(score, kept)));
    }
  }
}

}  // namespace

bool is_delphi(const fs::path& folder) {
  return !latent_files(folder / "explanations").empty() || !cache_files(folder).empty();
}

ImportReport import_delphi(Atlas& atlas, const fs::path& folder) {
  if (!is_delphi(folder))
    bad_input(folder.string(), "expected latents/ or explanations/ of delphi in it",
              "give results/<name> of a run of delphi");
  Transaction transaction = atlas.transaction();
  Importer importer(atlas, folder);
  for (const fs::path& file : cache_files(folder)) importer.put_cache(file);
  for (const LatentFile& file : latent_files(folder / "explanations"))
    importer.put_explanation(file);
  for (const char* scorer : kScorers)
    for (const LatentFile& file : latent_files(folder / "scores" / scorer))
      importer.put_score(file, scorer);
  transaction.commit();
  return importer.report;
}

void judge_delphi(const fs::path& folder, Judge& judge) {
  judge.check([&] { model_of(read_config(folder), folder); });
  for (const fs::path& file : cache_files(folder)) judge.check([&] { read_cache(file); });
  std::set<std::pair<std::string, std::int32_t>> explained;
  for (const LatentFile& file : latent_files(folder / "explanations")) {
    explained.emplace(file.hookpoint, file.latent);
    judge.check([&] { read_explanation(file.path); });
  }
  for (const char* scorer : kScorers)
    for (const LatentFile& file : latent_files(folder / "scores" / scorer)) {
      judge.check([&] { read_score(file.path, scorer); });
      judge.check([&] {
        if (!explained.contains({file.hookpoint, file.latent}))
          bad_input(file.path.string(), "there is no explanation that it could be the score of",
                    "run delphi again for this latent");
      });
    }
}

std::vector<fs::path> export_delphi(Atlas& atlas, const fs::path& folder, const std::string& sae) {
  OutputFolder output(folder);
  Json config = Json::object(), hookpoints = Json::array();
  std::set<std::string> seen;
  std::size_t n_written = 0;
  for (const SaeRow& row : atlas.saes()) {
    if (!sae.empty() && row.name != sae) continue;
    const Json details = parse_json(row.details, "details of " + row.name);
    const auto kept = JsonObject(details, row.name).find_object("delphi");
    const std::string hookpoint = safe_file_name(kept ? row.name : hookpoint_of_site(row.site));
    if (!seen.insert(hookpoint).second)
      bad_input(
          atlas.path().string(),
          fmt::format("several SAEs read {}, and this format has one name for them", hookpoint),
          "export one with --sae NAME");
    hookpoints.push_back(hookpoint);
    config = kept ? kept->json() : Json{{"model", row.model}, {"sparse_model", row.name}};
    for (const std::int64_t id : atlas.features_of(*atlas.find_sae(row.model, row.name))) {
      const FeatureEntry entry = atlas.entry(id);
      const ExplanationWithScores* item = headline_of(atlas, entry);
      // An answer that could not be read is kept too, if it is all there is.
      if (item == nullptr && !entry.explanations.empty()) item = &entry.explanations.front();
      if (item == nullptr) continue;
      export_feature(entry, *item, fmt::format("{}_latent{}.txt", hookpoint, entry.record.feature),
                     output.path());
      ++n_written;
    }
  }
  if (n_written == 0)
    bad_input(atlas.path().string(), "there is no explanation to export", "explain first");
  if (!config.contains("hookpoints")) config["hookpoints"] = hookpoints;
  write_file(output.path() / "run_config.json", text_of(config));
  output.commit();
  return {folder};
}

}  // namespace safesail
