#include "atlas/neuronpedia.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <set>
#include <unordered_map>

#include "atlas/neuronpedia_rows.h"
#include "atlas/output.h"
#include "atlas/record_rows.h"
#include "base/error.h"
#include "formats/line_reader.h"

namespace safesail {
namespace {

using namespace neuronpedia;

constexpr const char* kRemedy = "correct the row, or export it again";
constexpr std::int64_t kBatch = 1024;
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
             feature.hook.empty() ? place.source : site_of_hook(feature.hook),
             layer,
             "",
             0,
             Json{{"neuronpedia", files}}.dump()};
      sae = atlas.put_sae(row);
      ++report.n_saes;
    }
    Json extra = Json::object();
    if (!original.contains("safesail")) extra["neuronpedia"] = original.json();
    const std::int64_t id = atlas.put_feature(sae, feature.record, "ok", extra.dump());
    if (feature.record.n_tokens == 0)
      atlas.database().run("UPDATE features SET density = ? WHERE id = ?", feature.density, id);
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

/// Rows of one batch; all get the keys of all.
class Batch {
 public:
  void add(Json row) { rows_.push_back(std::move(row)); }
  void write(const fs::path& path) {
    std::set<std::string> keys;
    for (const Json& row : rows_)
      for (const auto& [key, ignored] : row.items()) keys.insert(key);
    GzipFile file(path);
    for (Json& row : rows_) {
      for (const std::string& key : keys)
        if (!row.contains(key)) row[key] = nullptr;
      file.write_line(row.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace));
    }
    file.commit();
    rows_.clear();
  }
  bool empty() const { return rows_.empty(); }

 private:
  std::vector<Json> rows_;
};

/// The id of the source: as it came, or made of layer and name.
std::string source_id(const SaeRow& sae, const Json& kept) {
  if (!kept.is_null()) return safe_file_name(sae.name);
  return safe_file_name(fmt::format("{}-{}", sae.layer, sae.name));
}

void write_single_rows(const fs::path& folder, const SaeRow& sae, const Json& kept,
                       const std::string& source) {
  Json files = kept;
  if (files.is_null()) {
    const std::string model = safe_file_name(sae.model);
    const std::string set = source.substr(source.find('-') + 1);
    files = {{"model.jsonl", {{{"id", model}, {"displayName", sae.model}}}},
             {"sourceset.jsonl", {{{"modelId", model}, {"name", set}}}},
             {"source.jsonl", {{{"id", source}, {"modelId", model}, {"setName", set}}}}};
  }
  for (const auto& [name, rows] : files.items()) {
    std::string text;
    for (const Json& row : rows) text += row.dump() + "\n";
    write_file(folder / safe_file_name(name), text);
  }
}

void export_sae(Atlas& atlas, const SaeRow& sae, const fs::path& root) {
  const Json details = parse_json(sae.details, "details of " + sae.name);
  const auto kept_files = JsonObject(details, sae.name).find_object("neuronpedia");
  const Json kept = kept_files ? kept_files->json() : Json();
  Place place{safe_file_name(sae.model), source_id(sae, kept), 0};
  const fs::path folder = root / "v1" / place.model / place.source;
  write_single_rows(folder, sae, kept, place.source);

  struct Item {
    std::int32_t feature;
    std::int64_t id;
  };
  std::vector<Item> items;
  Query row =
      atlas.database().query("SELECT feature, id FROM features WHERE sae_id = ? ORDER BY feature",
                             *atlas.find_sae(sae.model, sae.name));
  while (row.next()) items.push_back({static_cast<std::int32_t>(row.integer(0)), row.integer(1)});
  const auto batch_name = [](std::int64_t n) { return fmt::format("batch-{}.jsonl.gz", n); };

  // Activations by number: batch k holds the features from 1024 k.
  Batch batch;
  std::size_t n_activations = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    place.feature = items[i].feature;
    const FeatureRecord record = atlas.record(items[i].id);
    const std::vector<std::string> extras = read_exemplar_extras(atlas.database(), items[i].id);
    for (std::size_t e = 0; e < record.exemplars.size(); ++e)
      batch.add(row_of(record.exemplars[e], extras[e], record, place, n_activations++));
    const std::int64_t number = items[i].feature / kBatch;
    if ((i + 1 == items.size() || items[i + 1].feature / kBatch != number) && !batch.empty())
      batch.write(folder / "activations" / batch_name(number));
  }
  // The others by text: 0, 1, 10, 100, ...
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return std::to_string(a.feature) < std::to_string(b.feature);
  });
  Batch explanations;
  for (std::size_t i = 0; i < items.size(); ++i) {
    place.feature = items[i].feature;
    const FeatureEntry entry = atlas.entry(items[i].id);
    batch.add(row_of(entry, place));
    for (const ExplanationWithScores& item : entry.explanations)
      explanations.add(row_of(item, entry, place));
    const auto number = static_cast<std::int64_t>(i) / kBatch;
    if (i + 1 < items.size() && (static_cast<std::int64_t>(i) + 1) % kBatch != 0) continue;
    batch.write(folder / "features" / batch_name(number));
    if (!explanations.empty()) explanations.write(folder / "explanations" / batch_name(number));
  }
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

std::vector<fs::path> export_neuronpedia(Atlas& atlas, const fs::path& folder,
                                         const std::string& sae) {
  OutputFolder output(folder);
  std::set<std::string> sources;
  for (const SaeRow& row : atlas.saes()) {
    if (!sae.empty() && row.name != sae) continue;
    if (!sources.insert(safe_file_name(row.model) + "/" + safe_file_name(row.name)).second)
      bad_input(row.name, "two SAEs would have the same folder", "export one with --sae NAME");
    export_sae(atlas, row, output.path());
  }
  if (sources.empty()) bad_input(atlas.path().string(), "there is no such SAE", "see atlas stats");
  output.commit();
  return {folder};
}

}  // namespace safesail
