// Sharded weights: model.safetensors.index.json maps every tensor to the shard that holds it.
#include <fmt/format.h>
#include <set>

#include "base/error.h"
#include "formats/json.h"
#include "formats/nearest.h"
#include "formats/safetensors.h"

namespace safesail {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::string_view kRemedy = "fetch the model folder again, with all its shards";

/// The index is outside input and names files to open: only names inside the folder are followed.
bool is_plain_name(std::string_view name) {
  return name.ends_with(".safetensors") && name.find('/') == name.npos &&
         name.find('\\') == name.npos && name.find('\0') == name.npos;
}

std::map<std::string, std::set<std::string>> tensors_by_shard(const fs::path& index_path) {
  const std::string where = index_path.string();
  const Json index = read_json(index_path, {.unique_keys = true});
  const JsonObject map = JsonObject(index, where).object("weight_map");
  std::map<std::string, std::set<std::string>> by_shard;
  for (const auto& [tensor, unused] : map.json().items()) {
    const std::string shard = map.get<std::string>(tensor);
    if (!is_plain_name(shard))
      bad_input(where,
                fmt::format("expected shards named *.safetensors in the same folder, got {}",
                            printable(shard)),
                "do not use this model: its index points outside its folder");
    by_shard[shard].insert(tensor);
  }
  if (by_shard.empty()) bad_input(where, "expected tensors in weight_map, got none", kRemedy);
  return by_shard;
}

/// "model-00001-of-00004.safetensors"
bool looks_like_shard(std::string_view name) {
  return name.starts_with("model-") && name.find("-of-") != name.npos && is_plain_name(name);
}

}  // namespace

SafetensorsFolder::SafetensorsFolder(const fs::path& folder) : folder_(folder) {
  if (!fs::is_directory(folder))
    bad_input(folder.string(), "expected a model folder, got none", "check the path");
  if (fs::exists(folder / kSingleFile)) {
    shards_.emplace_back(folder / kSingleFile);
    tensors_ = shards_.front().tensors();
    return;
  }
  const fs::path index_path = folder / kIndexFile;
  if (!fs::exists(index_path))
    bad_input(folder.string(),
              fmt::format("expected {} or {}, got neither", kSingleFile, kIndexFile),
              "fetch the safetensors weights, or convert the model's to them");

  const auto by_shard = tensors_by_shard(index_path);
  for (const auto& [shard, names] : by_shard)
    if (!fs::exists(folder / shard))
      bad_input(index_path.string(),
                fmt::format("expected the shard {}, got none", printable(shard)), kRemedy);
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (looks_like_shard(name) && by_shard.find(name) == by_shard.end())
      bad_input(index_path.string(),
                fmt::format("expected only shards of the index, got {}", printable(name)),
                "remove the shard if it is left from another download, or fetch the index again");
  }
  for (const auto& [shard, names] : by_shard) {
    const SafetensorsFile& file = shards_.emplace_back(folder / shard);
    for (const std::string& name : names) tensors_.emplace(name, file.at(name));
  }
}

const TensorView& SafetensorsFolder::at(std::string_view name) const {
  const auto entry = tensors_.find(name);
  if (entry == tensors_.end())
    bad_input(folder_.string(),
              fmt::format("expected a tensor {}; the nearest names are {}", printable(name),
                          nearest_keys(name, tensors_)),
              "check that config.json and the weights belong together");
  return entry->second;
}

std::vector<std::string> SafetensorsFolder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

std::uint64_t SafetensorsFolder::total_bytes() const {
  std::uint64_t n_bytes = 0;
  for (const auto& [name, tensor] : tensors_) n_bytes += tensor.bytes.size();
  return n_bytes;
}

void SafetensorsFolder::drop_pages() const {
  for (const SafetensorsFile& shard : shards_) shard.drop_pages();
}

}  // namespace safesail
