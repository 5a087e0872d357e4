#include "train/training_data.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/json.h"
#include "text/corpus_files.h"

namespace safesail {
namespace {

constexpr const char* kCorpus = "corpus";
constexpr const char* kHeldOut = "held_out_share";

std::optional<TrainingData> from_json(const Json& found) {
  TrainingData data;
  const auto share = found.find(kHeldOut);
  const auto corpus = found.find(found.contains("paths") ? "paths" : kCorpus);
  if (share == found.end() || !share->is_number() || corpus == found.end() || !corpus->is_array())
    return std::nullopt;
  data.held_out_share = share->get<double>();
  for (const Json& path : *corpus) {
    if (!path.is_string()) return std::nullopt;
    data.corpus.push_back(path.get<std::string>());
  }
  return data;
}

/// Files that both name; where a file is no more, the names themselves are compared.
bool share_files(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const auto files = [](const std::vector<std::string>& paths) {
    std::vector<std::string> names;
    for (const std::string& path : paths) try {
        for (const CorpusFile& file : find_corpus_files({path}))
          names.push_back(fs::weakly_canonical(file.path).string());
      } catch (const Error&) {
        names.push_back(path);
      }
    return names;
  };
  const std::vector<std::string> left = files(a), right = files(b);
  return std::ranges::any_of(
      left, [&](const auto& name) { return std::ranges::find(right, name) != right.end(); });
}

}  // namespace

std::optional<TrainingData> training_data(const fs::path& run) {
  const fs::path path = run / "manifest.json";
  if (!fs::exists(path)) return std::nullopt;
  const Json manifest = read_json(path);
  const Json::json_pointer config("/stages/train/config");
  if (!manifest.contains(config)) return std::nullopt;
  // From a corpus, or from activations whose files said what they are of.
  for (const char* key : {"corpus", "activations_of"})
    if (const Json& found = manifest.at(config); found.contains(key) && found.at(key).is_object())
      return from_json(found.at(key));
  return std::nullopt;
}

std::map<std::string, std::string> to_metadata(const TrainingData& data) {
  return {{kCorpus, dump_json(Json(data.corpus))},
          {kHeldOut, fmt::format("{}", data.held_out_share)}};
}

std::optional<TrainingData> from_metadata(const std::map<std::string, std::string>& metadata) {
  const auto corpus = metadata.find(kCorpus), share = metadata.find(kHeldOut);
  if (corpus == metadata.end() || share == metadata.end()) return std::nullopt;
  const Json paths = Json::parse(corpus->second, nullptr, false);
  double value = 0;
  const std::string& text = share->second;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
    return std::nullopt;
  return from_json({{kCorpus, paths}, {kHeldOut, value}});
}

Separation separation(const std::optional<TrainingData>& trained, const EvaluatedOn& evaluated) {
  const std::string documents = evaluated.share < 1
                                    ? fmt::format("{} % of the corpus", 100 * evaluated.share)
                                    : "all of the corpus";
  if (!trained && evaluated.share == 1)
    return {.sure = true, .text = documents + ", which is taken to be new to the SAEs"};
  if (!trained)
    return {.text = documents +
                    "; which documents the SAEs were trained on is not known, these may "
                    "be among them"};
  if (evaluated.share <= trained->held_out_share)
    return {.sure = true, .text = documents + ", held out of training"};
  if (!share_files(trained->corpus, evaluated.corpus))
    return {.sure = true, .text = documents + ", of files that training did not read"};
  return {.text = fmt::format("{}; training read the same files and left {} % out: the others may "
                              "have been trained on",
                              documents, 100 * trained->held_out_share)};
}

}  // namespace safesail
