#include "text/tokenizer_source.h"

#include <fmt/format.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{1} << 29;
constexpr std::uint64_t kMaxTemplateBytes = std::uint64_t{1} << 22;

/// An object from `path`, or an empty one where there is no such file.
Json read_object(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json json = read_json(path);
  if (!json.is_object())
    bad_input(path.string(), fmt::format("expected an object, got {}", json.type_name()),
              "fetch the file again");
  return json;
}

/// tokenizer_config.json holds the template as a string, or several as [{"name", "template"}].
std::optional<std::string> template_in(const Json& config) {
  const auto entry = config.find("chat_template");
  if (entry == config.end()) return std::nullopt;
  if (entry->is_string()) return entry->get<std::string>();
  if (!entry->is_array()) return std::nullopt;
  for (const Json& item : *entry)
    if (item.is_object() && item.value("name", Json()) == "default" &&
        item.value("template", Json()).is_string())
      return item["template"].get<std::string>();
  return std::nullopt;
}

std::optional<std::int64_t> token_id_in(const Json& config, const char* key) {
  auto entry = config.find(key);
  if (entry == config.end()) return std::nullopt;
  // Some models end on any of several tokens; the first is the one that the tokenizer writes.
  const Json& id = entry->is_array() && !entry->empty() ? entry->front() : *entry;
  return id.is_number_integer() ? std::optional(id.get<std::int64_t>()) : std::nullopt;
}

}  // namespace

TokenizerSource read_tokenizer_files(const fs::path& path) {
  const bool is_folder = fs::is_directory(path);
  const fs::path file = is_folder ? path / "tokenizer.json" : path;
  const fs::path folder = file.parent_path();
  if (!fs::exists(file))
    bad_input(file.string(), "expected a tokenizer, got no such file",
              is_folder
                  ? "fetch tokenizer.json with the model, or convert the old tokenizer files by "
                    "loading them with transformers and calling save_pretrained"
                  : "give a model folder, a tokenizer.json or a .gguf file");

  TokenizerSource source;
  source.where = file.string();
  source.json = read_file(file, kMaxTokenizerBytes);
  source.config = read_object(folder / "tokenizer_config.json");
  const Json special = read_object(folder / "special_tokens_map.json");
  for (const auto& [key, value] : special.items())
    if (!source.config.contains(key)) source.config[key] = value;

  // The one name that a class of transformers knows by itself and the published configs leave out.
  if (source.config.value("tokenizer_class", Json()) == "GemmaTokenizer" &&
      !source.config.contains("mask_token"))
    source.config["mask_token"] = "<mask>";

  if (const fs::path jinja = folder / "chat_template.jinja"; fs::exists(jinja))
    source.chat_template = read_file(jinja, kMaxTemplateBytes);
  else
    source.chat_template = template_in(source.config);

  const Json model = read_object(folder / "config.json");
  source.bos = token_id_in(model, "bos_token_id");
  source.eos = token_id_in(model, "eos_token_id");
  return source;
}

}  // namespace safesail
