#include "atlas/neuronpedia.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <unordered_map>

#include "atlas/neuronpedia_rows.h"
#include "atlas/record_rows.h"
#include "base/error.h"
#include "formats/json.h"
#include "formats/line_reader.h"

namespace safesail {
namespace {

using namespace neuronpedia;

constexpr const char* kRemedy = "correct the row, or export it again";
constexpr int kMaxDepth = 4;  ///< v1/<model>/<source>, and one above

/// Folders below (or at) `folder` that hold a source: those with `features/`. Sorted.
std::vector<fs::path> source_folders(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::is_directory(folder)) return found;
  if (fs::is_directory(folder / "features")) return {folder};
  for (auto item = fs::recursive_directory_iterator(folder); item != fs::end(item); ++item) {
    if (item.depth() >= kMaxDepth) item.disable_recursion_pending();
    if (item->is_directory() && fs::is_directory(item->path() / "features")) {
      found.push_back(item->path());
      item.disable_recursion_pending();
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> files_in(const fs::path& folder, bool (*wanted)(const std::string& name)) {
  std::vector<fs::path> files;
  if (fs::is_directory(folder))
    for (const fs::directory_entry& item : fs::directory_iterator(folder))
      if (item.is_regular_file() && wanted(item.path().filename().string()))
        files.push_back(item.path());
  // batch-2 before batch-10.
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.filename().string(), y = b.filename().string();
    return x.size() != y.size() ? x.size() < y.size() : x < y;
  });
  return files;
}

std::vector<fs::path> batches(const fs::path& folder) {
  return files_in(folder, [](const std::string& name) {
    return name.starts_with("batch-") && (name.ends_with(".jsonl.gz") || name.ends_with(".jsonl"));
  });
}

using Row = std::function<void(const JsonObject&)>;

/// Every row of a file. `same_keys`: report rows whose keys are not the first row's, as
/// Neuronpedia's importer takes its columns from that one.
void each_row(const fs::path& path, Judge& judge, bool same_keys, const Row& row) {
  judge.check([&] {
    LineReader lines{ByteStream(path)};
    std::vector<std::string> keys;
    while (const auto line = lines.next()) {
      if (line->empty()) continue;
      judge.check([&] {
        const Json json = parse_json(*line, lines.where(), {.unique_keys = true});
        const JsonObject object(json, lines.where());
        row(object);
        if (!same_keys) return;
        std::vector<std::string> its_keys;
        for (const auto& [key, ignored] : json.items()) its_keys.push_back(key);
        if (keys.empty()) keys = its_keys;
        std::vector<std::string> different;
        std::set_symmetric_difference(keys.begin(), keys.end(), its_keys.begin(), its_keys.end(),
                                      std::back_inserter(different));
        if (!different.empty())
          bad_input(object.where(),
                    "expected the keys of the first row, got a difference in " +
                        printable(different.front()),
                    kRemedy);
      });
      if (judge.has_enough()) return;
    }
  });
}

/// Walks one source and gives each checked row to the importer, in an order in which every feature
/// comes before its activations and explanations. Batches are never joined by their number: those
/// of features are sorted by text, those of activations by number.
struct Walk {
  Judge& judge;
  bool strict = false;
  std::function<void(const Place&, FeatureRow&&, const JsonObject&)> on_feature;
  std::function<void(std::int32_t, ActivationRow&&)> on_activation;
  std::function<void(std::int32_t, ExplanationWithScores&&)> on_explanation;

  std::optional<Place> source;
  std::unordered_map<std::int32_t, float> max_activation;  ///< of the features seen

  Place known_place(const JsonObject& row) const {
    const Place place = place_of(row);
    if (source && (place.model != source->model || place.source != source->source))
      bad_input(row.where(),
                fmt::format("expected modelId {} and layer {}, as in the first row, got {} and {}",
                            printable(source->model), printable(source->source),
                            printable(place.model), printable(place.source)),
                kRemedy);
    return place;
  }

  std::int32_t feature_of_row(const JsonObject& row) const {
    const Place place = known_place(row);
    if (!max_activation.contains(place.feature))
      bad_input(row.where(), fmt::format("there is no feature {} in features/", place.feature),
                kRemedy);
    return place.feature;
  }

  void run(const fs::path& folder) {
    for (const fs::path& file : batches(folder / "features"))
      each_row(file, judge, strict, [&](const JsonObject& row) {
        const Place place = known_place(row);
        if (!source) source = place;
        FeatureRow feature = feature_of(row);
        if (!max_activation.emplace(place.feature, feature.record.max_activation).second)
          bad_input(row.where(), fmt::format("feature {} comes twice", place.feature), kRemedy);
        if (on_feature) on_feature(place, std::move(feature), row);
      });
    for (const fs::path& file : batches(folder / "activations"))
      each_row(file, judge, strict, [&](const JsonObject& row) {
        const std::int32_t feature = feature_of_row(row);
        ActivationRow activation = exemplar_of(row, max_activation.at(feature));
        if (on_activation) on_activation(feature, std::move(activation));
      });
    for (const fs::path& file : batches(folder / "explanations"))
      each_row(file, judge, strict, [&](const JsonObject& row) {
        const std::int32_t feature = feature_of_row(row);
        ExplanationWithScores explanation = explanation_of(row);
        if (on_explanation) on_explanation(feature, std::move(explanation));
      });
  }
};

/// The files of one row beside the batches, by their name.
Json single_rows(const fs::path& folder, Judge& judge) {
  Json files = Json::object();
  for (const fs::path& file :
       files_in(folder, [](const std::string& name) { return name.ends_with(".jsonl"); })) {
    Json& rows = files[file.filename().string()] = Json::array();
    each_row(file, judge, false, [&](const JsonObject& row) { rows.push_back(row.json()); });
  }
  return files;
}

void import_source(Atlas& atlas, const fs::path& folder, ImportReport& report) {
  Judge judge;
  const Json files = single_rows(folder, judge);
  std::int64_t sae = 0;
  std::unordered_map<std::int32_t, std::int64_t> ids;
  std::unordered_map<std::int32_t, std::size_t> n_exemplars;
  std::int64_t largest = -1;
  SaeRow row;
  Walk walk{.judge = judge};
  walk.on_feature = [&](const Place& place, FeatureRow&& feature, const JsonObject& original) {
    if (sae == 0) {
      const std::int32_t layer = layer_of_source(place.source);
      row = {place.model,
             place.source,
             feature.hook.empty() ? place.source : site_of_hook(feature.hook, place.model),
             layer,
             "",
             0,
             dump_json(Json{{"neuronpedia", files}})};
      sae = atlas.put_sae(row);
      ++report.n_saes;
    }
    Json extra = Json::object();
    if (!original.contains("safesail")) extra["neuronpedia"] = original.json();
    const std::int64_t id = atlas.put_feature(sae, feature.record, "ok", dump_json(extra));
    if (feature.record.n_tokens == 0)
      atlas.database().run("UPDATE features SET density = ? WHERE id = ?", feature.density, id);
    if (std::isfinite(feature.x) && std::isfinite(feature.y)) {
      const auto x = static_cast<float>(feature.x), y = static_cast<float>(feature.y);
      atlas.put_coordinates({&id, 1}, {&x, 1}, {&y, 1});
    }
    ids[feature.record.feature] = id;
    largest = std::max<std::int64_t>(largest, feature.record.feature);
    ++report.n_features;
  };
  walk.on_activation = [&](std::int32_t feature, ActivationRow&& activation) {
    write_exemplar(atlas.database(), ids.at(feature), n_exemplars[feature]++, activation.exemplar,
                   activation.extra);
    ++report.n_exemplars;
  };
  walk.on_explanation = [&](std::int32_t feature, ExplanationWithScores&& item) {
    const std::int64_t id = atlas.put_explanation(ids.at(feature), item.explanation);
    ++report.n_explanations;
    for (const Score& score : item.scores) atlas.put_score(id, score), ++report.n_scores;
  };
  walk.run(folder);
  if (sae == 0) bad_input(folder.string(), "there is no row in features/", "export it again");
  row.n_features = largest + 1;
  atlas.put_sae(row);
}

}  // namespace

bool is_neuronpedia(const fs::path& folder) {
  return !source_folders(folder).empty();
}

ImportReport import_neuronpedia(Atlas& atlas, const fs::path& folder) {
  ImportReport report;
  Transaction transaction = atlas.transaction();
  for (const fs::path& source : source_folders(folder)) import_source(atlas, source, report);
  if (report.n_saes == 0)
    bad_input(folder.string(), "expected a folder with features/ in it", "see docs/formats");
  transaction.commit();
  return report;
}

void judge_neuronpedia(const fs::path& folder, Judge& judge) {
  for (const fs::path& source : source_folders(folder)) {
    single_rows(source, judge);
    for (const char* name : {"source.jsonl", "model.jsonl"})
      if (!fs::exists(source / name))
        judge.check([&] {
          bad_input((source / name).string(), "there is no such file", "export it again");
        });
    Walk walk{.judge = judge, .strict = true};
    walk.run(source);
  }
}

}  // namespace safesail
