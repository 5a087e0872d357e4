#include "atlas/release.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include "atlas/natural_number.h"
#include "base/error.h"
#include "formats/json.h"
#include "formats/torch_pickle.h"

namespace safesail {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 2> kFiles = {
    {{"en", "en_db.json"}, {"zh", "cn_db.json"}}};
constexpr const char* kMasked = "***";
constexpr const char* kRemedy = "correct the entry, or fetch the release again";
// Constants of the published demo, which its files do not hold.
constexpr std::int64_t kFeaturesOfASae = 20480;
constexpr int kK = 200;

std::pair<std::int32_t, std::int32_t> layer_and_index(std::string_view key,
                                                      const std::string& where) {
  const std::size_t cut = key.find('_');
  const auto layer = natural_number(key.substr(0, cut));
  const auto index = cut == std::string_view::npos ? layer : natural_number(key.substr(cut + 1));
  if (cut == std::string_view::npos || !layer || !index)
    bad_input(where, "expected a name as LAYER_INDEX, got " + printable(key), kRemedy);
  return {*layer, *index};
}

/// Line, from 1, of the first place where `key` stands in quotes.
std::size_t line_of_key(std::string_view text, const std::string& key) {
  const std::size_t at = text.find('"' + key + '"');
  return 1 + static_cast<std::size_t>(std::count(
                 text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at == text.npos ? 0 : at),
                 '\n'));
}

std::vector<std::string> tags_of(const JsonObject& entry) {
  auto tags = entry.get<std::vector<std::string>>("tag_list");
  for (std::size_t i = 0; i < tags.size(); ++i)
    if (tags[i].empty() || std::find(tags.begin(), tags.begin() + static_cast<std::ptrdiff_t>(i),
                                     tags[i]) != tags.begin() + static_cast<std::ptrdiff_t>(i))
      bad_input(entry.where(), "tag_list: expected each tag once, got " + printable(tags[i]),
                kRemedy);
  return tags;
}

double score_of(const JsonObject& entry) {
  const double score = entry.find<double>("correlation_score").value_or(kUnknown);
  if (std::abs(score) > 1)
    bad_input(entry.where(),
              fmt::format("correlation_score: expected a number from -1 to 1, got {}", score),
              kRemedy);
  return score;
}

ReleaseEntry read_entry(const std::string& key, const Json& value, std::string_view text,
                        const std::string& file, Judge& judge, bool& good) {
  const auto line = [&] {
    return fmt::format("{}:{}: {}", file, line_of_key(text, key), printable(key));
  };
  ReleaseEntry entry;
  const auto check = [&](const auto& body) {
    try {
      body(file + ": " + key);
    } catch (const Error&) {
      good = judge.check([&] { body(line()); }) && good;  // now with the line, which costs a search
    }
  };
  check([&](const std::string& where) {
    std::tie(entry.layer, entry.feature) = layer_and_index(key, where);
  });
  check([&](const std::string& where) {
    const JsonObject object(value, where);
    for (const auto& [name, ignored] : value.items())
      if (name != "explanation" && name != "correlation_score" && name != "tag_list")
        bad_input(where, "expected no key " + printable(name), kRemedy);
    for (const char* name : {"explanation", "correlation_score", "tag_list"})
      if (!value.contains(name))
        bad_input(where, fmt::format("expected a key \"{}\"", name), kRemedy);
  });
  if (!value.is_object()) return entry;
  check([&](const std::string& where) {
    entry.text = JsonObject(value, where).find<std::string>("explanation");
  });
  check([&](const std::string& where) { entry.score = score_of(JsonObject(value, where)); });
  check([&](const std::string& where) { entry.tags = tags_of(JsonObject(value, where)); });
  return entry;
}

std::vector<ReleaseEntry> read_entries(const fs::path& path, Judge& judge) {
  std::vector<ReleaseEntry> entries;
  judge.check([&] {
    const JsonLimits limits{.unique_keys = true};
    const std::string text = read_file(path, limits.max_bytes);
    const Json json = parse_json(text, path.string(), limits);
    if (!json.is_object())
      bad_input(path.string(), "expected an object of entries", "give the published file");
    for (const auto& [key, value] : json.items()) {
      bool good = true;
      ReleaseEntry entry = read_entry(key, value, text, path.string(), judge, good);
      if (good) entries.push_back(std::move(entry));
      if (judge.has_enough()) break;
    }
  });
  return entries;
}

/// A list of integers, or a 1-D tensor of them.
std::vector<std::int64_t> read_indices(const fs::path& path) {
  const TorchFile file(path);
  const auto wrong = [&](const std::string& got) {
    bad_input(path.string(), "expected a list of indices, got " + got, "fetch the release again");
  };
  std::vector<std::int64_t> indices;
  if (const auto* list = file.root().as<PickleList>()) {
    for (const PickleValue* item : *list) {
      const auto* index = item->as<std::int64_t>();
      if (index == nullptr) wrong("a list with a " + item->kind());
      indices.push_back(*index);
    }
  } else if (const auto* tensor = file.root().as<TensorView>();
             tensor != nullptr && tensor->dtype == DType::i64 && tensor->shape.size() == 1) {
    indices.resize(tensor->bytes.size() / sizeof(std::int64_t));
    if (!indices.empty()) std::memcpy(indices.data(), tensor->bytes.data(), tensor->bytes.size());
  } else {
    wrong(file.root().kind());
  }
  for (const std::int64_t index : indices)
    if (index < 0 || index >= kFeaturesOfASae) wrong(fmt::format("{}", index));
  return indices;
}

void read_selected_in(const fs::path& folder,
                      std::map<std::int32_t, std::vector<std::int64_t>>& selected, Judge& judge) {
  if (!fs::is_directory(folder)) return;
  constexpr std::string_view kPrefix = "indices_layer", kSuffix = ".pt";
  for (const fs::directory_entry& item : fs::directory_iterator(folder)) {
    const std::string name = item.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const auto layer = natural_number(std::string_view(name).substr(
        kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size()));
    if (layer) judge.check([&] { selected[*layer] = read_indices(item.path()); });
  }
}

using FeatureKey = std::pair<std::int32_t, std::int32_t>;

void check_tags_agree(const fs::path& folder, const Release& release, Judge& judge) {
  std::map<FeatureKey, const ReleaseEntry*> first;
  for (const auto& [language, entries] : release.entries)
    for (const ReleaseEntry& entry : entries) {
      const auto [found, is_new] = first.try_emplace({entry.layer, entry.feature}, &entry);
      if (!is_new && found->second->tags != entry.tags)
        judge.check([&, &item = entry] {
          bad_input(folder.string(),
                    fmt::format("{}_{}: expected the same tag_list in each language", item.layer,
                                item.feature),
                    "correct one of them: tags belong to the feature");
        });
    }
}

SaeRow sae_of_layer(std::int32_t layer, const std::vector<std::int64_t>& selected) {
  const std::string site = fmt::format("mlp_out.{}", layer);
  const Json details = {{"source", "Safe-SAIL release"}, {"k", kK}, {"selected", selected}};
  return {
      kReleaseModel,     fmt::format("{}/topk-k{}", site, kK), site, layer, "topk", kFeaturesOfASae,
      dump_json(details)};
}

Explanation explanation_of(const ReleaseEntry& entry, const std::string& language) {
  Explanation explanation;
  explanation.key = {"published", "", language, "", 0};
  explanation.status = !entry.text              ? TextStatus::absent
                       : *entry.text == kMasked ? TextStatus::masked
                                                : TextStatus::ok;
  explanation.short_text = entry.text.value_or("");
  return explanation;
}

/// As Python's json.dump writes it, so that the two can be compared byte by byte.
std::string text_of(const Json& json) {
  return dump_json(json, {.ascii = true});
}

}  // namespace

bool is_release(const fs::path& folder) {
  return std::any_of(kFiles.begin(), kFiles.end(),
                     [&](const auto& file) { return fs::is_regular_file(folder / file.second); });
}

std::map<std::int32_t, std::vector<std::int64_t>> read_selected(const fs::path& folder,
                                                                Judge& judge) {
  std::map<std::int32_t, std::vector<std::int64_t>> selected;
  for (const fs::path& sub : {folder / "indices", folder / "activation" / "indices"})
    read_selected_in(sub, selected, judge);
  return selected;
}

Release read_release(const fs::path& folder, Judge& judge) {
  if (!is_release(folder))
    bad_input(folder.string(), "expected en_db.json or cn_db.json in it",
              "give the folder of the release that holds them");
  Release release;
  for (const auto& [language, name] : kFiles)
    if (fs::exists(folder / name)) release.entries[language] = read_entries(folder / name, judge);
  // The published layout has the indices beside neuron_db/, not below it.
  release.selected = read_selected(folder, judge);
  if (release.selected.empty() && folder.filename() == "neuron_db")
    release.selected = read_selected(folder.parent_path(), judge);
  check_tags_agree(folder, release, judge);
  return release;
}

ImportReport import_release(Atlas& atlas, const fs::path& folder) {
  Judge judge;
  const Release release = read_release(folder, judge);
  ImportReport report;
  std::map<std::int32_t, std::int64_t> saes;
  Transaction transaction = atlas.transaction();
  const auto sae_id = [&](std::int32_t layer) {
    const auto [found, is_new] = saes.try_emplace(layer, 0);
    if (is_new) {
      const auto selected = release.selected.find(layer);
      found->second = atlas.put_sae(sae_of_layer(layer, selected == release.selected.end()
                                                            ? std::vector<std::int64_t>{}
                                                            : selected->second));
    }
    return found->second;
  };
  for (const auto& [layer, indices] : release.selected) sae_id(layer);
  // A feature's entries together, by language.
  std::map<FeatureKey, std::vector<std::pair<std::string, const ReleaseEntry*>>> features;
  for (const auto& [language, entries] : release.entries)
    for (const ReleaseEntry& entry : entries)
      features[{entry.layer, entry.feature}].emplace_back(language, &entry);
  for (const auto& [key, entries] : features) {
    FeatureRecord record;
    record.feature = key.second;
    const std::int64_t sae = sae_id(key.first);
    // A record that the atlas has by its own harvest is worth more than an empty one.
    const auto known = atlas.find_feature(sae, record.feature);
    const std::int64_t feature = known ? *known : atlas.put_feature(sae, record);
    atlas.delete_tags(feature, "published");
    for (const std::string& tag : entries.front().second->tags)
      atlas.put_tag(feature, {tag, "", "published", "{}"});

    std::vector<Explanation> explanations;
    for (const auto& [language, entry] : entries)
      explanations.push_back(explanation_of(*entry, language));
    const std::vector<std::int64_t> ids = atlas.put_explanations(feature, explanations);
    report.n_explanations += static_cast<std::int64_t>(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      Score score;
      score.key.scorer = "published";
      score.value = entries[i].second->score;
      if (std::isnan(score.value)) continue;
      atlas.put_score(ids[i], score);
      ++report.n_scores;
    }
  }
  transaction.commit();
  report.n_saes = static_cast<std::int64_t>(saes.size());
  report.n_features = static_cast<std::int64_t>(features.size());
  return report;
}

std::vector<fs::path> export_release(Atlas& atlas, const fs::path& folder, const std::string& sae) {
  std::vector<fs::path> written;
  for (const auto& [language, name] : kFiles) {
    std::map<std::string, std::string> entries;
    // Of each feature the newest text by the explainer of its headline, with the correlation that
    // was published of it, or that by the file's measure where it is one.
    Query row = atlas.database().query(
        "SELECT s.layer, f.feature, e.status, e.short_text, (SELECT value FROM scores WHERE "
        "explanation_id = e.id AND value IS NOT NULL AND (scorer = 'published' OR (scorer IN "
        "('segment', 'token') AND scorer = ?3 AND simulator = ?4)) "
        "ORDER BY scorer <> 'published', id DESC LIMIT 1), f.id, max(e.id) "
        "FROM features f JOIN saes s ON s.id = f.sae_id JOIN explanations h ON "
        "h.id = f.headline "
        "JOIN explanations e ON e.feature_id = f.id AND e.explainer = "
        "h.explainer "
        "WHERE e.language = ?1 AND e.status IN ('ok', 'masked', 'absent') AND "
        "(?2 = '' OR s.name = ?2) GROUP BY f.id",
        language, sae, atlas.measure().scorer, atlas.measure().simulator);
    while (row.next()) {
      const std::string key = fmt::format("{}_{}", row.integer(0), row.integer(1));
      Json text = nullptr, score = nullptr, tags = Json::array();
      if (row.text(2) != "absent") text = row.text(3);
      if (!row.is_null(4)) score = row.real(4);
      Query tag = atlas.database().query(
          "SELECT domain, min(id) AS first FROM tags "
          "WHERE feature_id = ? GROUP BY domain "
          "ORDER BY first",
          row.integer(5));
      while (tag.next()) tags.push_back(tag.text(0));
      std::string list;
      for (const Json& one : tags) list += (list.empty() ? "" : ", ") + text_of(one);
      const bool is_new =
          entries
              .emplace(key, fmt::format("{}: {{\"explanation\": {}, \"correlation_score\": {}, "
                                        "\"tag_list\": [{}]}}",
                                        text_of(key), text_of(text), text_of(score), list))
              .second;
      if (!is_new)
        bad_input(atlas.path().string(),
                  fmt::format("two SAEs of layer {} have a feature {}, and "
                              "this format has one "
                              "name for both",
                              row.integer(0), row.integer(1)),
                  "export one SAE with --sae NAME");
    }
    if (entries.empty()) continue;
    std::string all;
    for (const auto& [key, entry] : entries) all += (all.empty() ? "{" : ", ") + entry;
    write_file(folder / name, all + "}");
    written.push_back(folder / name);
  }
  if (written.empty())
    bad_input(atlas.path().string(), "there is no explanation in English or Chinese to export",
              "import or explain first");
  return written;
}

}  // namespace safesail
