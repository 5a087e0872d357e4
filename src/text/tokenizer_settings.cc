#include "text/tokenizer_settings.h"

#include <charconv>
#include <optional>

namespace safesail {
namespace {

/// "<s>" from "<s>" or {"content": "<s>", ...}.
std::optional<std::string> token_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return std::nullopt;
  const auto content = value.find("content");
  if (content == value.end() || !content->is_string()) return std::nullopt;
  return content->get<std::string>();
}

Json added_token(const std::string& text, const Json& properties, bool special) {
  const auto flag = [&](const char* name, bool fallback) {
    const auto entry = properties.is_object() ? properties.find(name) : properties.end();
    return entry != properties.end() && entry->is_boolean() ? entry->get<bool>() : fallback;
  };
  return {{"content", text},
          {"lstrip", flag("lstrip", false)},
          {"rstrip", flag("rstrip", false)},
          {"single_word", flag("single_word", false)},
          {"normalized", flag("normalized", !special)},
          {"special", special || flag("special", false)}};
}

}  // namespace

std::map<std::string, std::string> named_tokens_of(const Json& config) {
  std::map<std::string, std::string> tokens;
  for (const auto& [key, value] : config.items()) {
    // Keys such as "add_bos_token" hold flags, and fall out as such.
    if (!key.ends_with("_token")) continue;
    if (auto text = token_text(value)) tokens.emplace(key, std::move(*text));
  }
  return tokens;
}

Json tokenizer_settings(const Json& config, std::optional<AddedEnds> ends) {
  std::map<std::int64_t, Json> numbered;
  if (const auto entry = config.find("added_tokens_decoder");
      entry != config.end() && entry->is_object())
    for (const auto& [id, properties] : entry->items())
      if (const auto text = token_text(properties)) {
        std::int64_t number = 0;
        std::from_chars(id.data(), id.data() + id.size(), number);
        numbered[number] = added_token(*text, properties, false);
      }

  Json added = Json::array();
  std::map<std::string, std::size_t> place;  // in `added`
  for (auto& [id, token] : numbered) {
    place.emplace(token["content"].get<std::string>(), added.size());
    added.push_back(std::move(token));
  }
  const auto add_special = [&](const Json& value) {
    const auto text = token_text(value);
    if (!text) return;
    const auto [entry, is_new] = place.emplace(*text, added.size());
    if (is_new)
      added.push_back(added_token(*text, value, true));
    else
      added[entry->second]["special"] = true;
  };
  for (const auto& [key, value] : config.items())
    if (key.ends_with("_token")) add_special(value);
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"})
    if (const auto list = config.find(key); list != config.end() && list->is_structured())
      for (const Json& value : *list) add_special(value);

  Json wrap = nullptr;
  if (ends) {
    const auto tokens = named_tokens_of(config);
    const auto name_if = [&](bool wanted, const char* key) -> Json {
      const auto token = tokens.find(key);
      if (!wanted || token == tokens.end()) return nullptr;
      return token->second;
    };
    wrap = {{"bos", name_if(ends->bos, "bos_token")}, {"eos", name_if(ends->eos, "eos_token")}};
  }
  return {{"added_tokens", std::move(added)}, {"wrap", std::move(wrap)}};
}

}  // namespace safesail
