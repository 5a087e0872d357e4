#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "atlas/neuronpedia.h"
#include "atlas/neuronpedia_rows.h"
#include "atlas/output.h"
#include "atlas/record_rows.h"
#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

using namespace neuronpedia;

constexpr std::int64_t kBatch = 1024;

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
      file.write_line(dump_json(row));
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
    for (const Json& row : rows) text += dump_json(row) + "\n";
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
