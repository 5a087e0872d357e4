#include "text/tokenizer.h"

#include <charconv>
#include <fmt/format.h>
#include <mutex>

#include "base/error.h"
#include "base/threads.h"
#include "formats/gguf.h"
#include "formats/model_path.h"
#include "text/rust.h"
#include "text/tokenizer_source.h"

namespace safesail {
namespace {

constexpr std::string_view kTextRemedy = "give UTF-8 text";

/// "<s>" from "<s>" or {"content": "<s>", ...}.
std::optional<std::string> token_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return std::nullopt;
  const auto content = value.find("content");
  if (content == value.end() || !content->is_string()) return std::nullopt;
  return content->get<std::string>();
}

/// "bos_token", "eos_token", "unk_token"... -> their texts. Chat templates see them as variables.
std::map<std::string, std::string> named_tokens(const Json& config) {
  std::map<std::string, std::string> tokens;
  for (const auto& [key, value] : config.items()) {
    // Keys such as "add_bos_token" hold flags, and fall out as such.
    if (!key.ends_with("_token")) continue;
    if (auto text = token_text(value)) tokens.emplace(key, std::move(*text));
  }
  return tokens;
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

/// The settings of text_rs_tokenizer_new, as transformers reads them out of tokenizer_config.json:
/// every token of added_tokens_decoder, then the named and the additional special ones.
Json settings_of(const Json& config) {
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

  // An explicit choice replaces the post-processor of tokenizer.json.
  Json wrap = nullptr;
  const auto chosen = [&](const char* key) {
    const auto flag = config.find(key);
    return flag != config.end() && flag->is_boolean() ? std::optional(flag->get<bool>())
                                                      : std::nullopt;
  };
  const auto add_bos = chosen("add_bos_token"), add_eos = chosen("add_eos_token");
  if (add_bos || add_eos) {
    const auto tokens = named_tokens(config);
    const auto name_if = [&](std::optional<bool> wanted, const char* key) -> Json {
      const auto token = tokens.find(key);
      if (!wanted.value_or(false) || token == tokens.end()) return nullptr;
      return token->second;
    };
    wrap = {{"bos", name_if(add_bos, "bos_token")}, {"eos", name_if(add_eos, "eos_token")}};
  }
  return {{"added_tokens", std::move(added)}, {"wrap", std::move(wrap)}};
}

/// The tokens of several texts, freed when done.
class Tokens {
 public:
  Tokens(const TextRsTokenizer* tokenizer, std::span<const TextRsSlice> texts, bool add_special,
         bool with_offsets)
      : tokens_(rust<TextRsTokens>("text", kTextRemedy, [&](auto* out, auto* error) {
          return text_rs_encode(tokenizer, texts.data(), texts.size(), add_special, with_offsets,
                                out, error);
        })) {}
  ~Tokens() { text_rs_tokens_free(tokens_); }
  Tokens(Tokens&& other) noexcept : tokens_(std::exchange(other.tokens_, {})) {}

  std::span<const std::int32_t> ids() const { return {tokens_.ids, tokens_.n_tokens}; }
  std::span<const std::size_t> ends() const { return {tokens_.ends, tokens_.n_texts}; }

  Encoding encoding(std::size_t text) const {
    const std::size_t begin = text == 0 ? 0 : tokens_.ends[text - 1], end = tokens_.ends[text];
    Encoding encoding;
    encoding.ids.assign(tokens_.ids + begin, tokens_.ids + end);
    encoding.offsets.reserve(end - begin);
    for (std::size_t t = begin; t < end; ++t)
      encoding.offsets.emplace_back(tokens_.offsets[2 * t], tokens_.offsets[2 * t + 1]);
    return encoding;
  }

 private:
  TextRsTokens tokens_;
};

/// The tokens of many texts, encoded on several threads; the parts in order.
std::vector<Tokens> encode_parts(const TextRsTokenizer* tokenizer,
                                 std::span<const std::string> texts, bool add_special,
                                 bool with_offsets) {
  // Below this a thread costs more than it gains.
  constexpr std::size_t kGrain = 256;
  std::map<std::size_t, Tokens> parts;
  std::mutex mutex;
  parallel_for(texts.size(), kGrain, 0, [&](std::size_t begin, std::size_t end) {
    std::vector<TextRsSlice> slices;
    slices.reserve(end - begin);
    for (std::size_t i = begin; i < end; ++i) slices.push_back(slice_of(texts[i]));
    Tokens part(tokenizer, slices, add_special, with_offsets);
    const std::scoped_lock lock(mutex);
    parts.emplace(begin, std::move(part));
  });
  std::vector<Tokens> in_order;
  in_order.reserve(parts.size());
  for (auto& [begin, part] : parts) in_order.push_back(std::move(part));
  return in_order;
}

}  // namespace

struct Tokenizer::Impl {
  std::string where;
  RustTokenizer tokenizer;
  std::string special;  ///< a byte an id
  std::optional<std::int32_t> bos, eos;
  std::map<std::string, std::string> named_tokens;
  std::optional<std::string> chat_template;
  RustTemplate compiled_template;
  std::string template_error;  ///< why there is none

  explicit Impl(TokenizerSource source) : where(std::move(source.where)) {
    constexpr std::string_view remedy =
        "fetch the tokenizer again, or save it anew with a current version of transformers";
    const std::string settings = settings_of(source.config).dump();
    tokenizer.reset(rust<TextRsTokenizer*>(where, remedy, [&](auto* out, auto* error) {
      return text_rs_tokenizer_new(slice_of(source.json), slice_of(settings), out, error);
    }));
    special = take(rust<TextRsString>(where, remedy, [&](auto* out, auto* error) {
      return text_rs_tokenizer_special(tokenizer.get(), out, error);
    }));
    named_tokens = safesail::named_tokens(source.config);
    bos = id_named("bos_token", source.bos);
    eos = id_named("eos_token", source.eos);

    chat_template = std::move(source.chat_template);
    if (!chat_template) return;
    TextRsTemplate* compiled = nullptr;
    TextRsString error{};
    if (text_rs_template_new(slice_of(*chat_template), &compiled, &error))
      compiled_template.reset(compiled);
    else
      template_error = take(error);
  }

  std::optional<std::int32_t> id_of(std::string_view token) const {
    const auto id = rust<std::int32_t>(where, kTextRemedy, [&](auto* out, auto* error) {
      return text_rs_token_id(tokenizer.get(), slice_of(token), out, error);
    });
    return id < 0 ? std::nullopt : std::optional(id);
  }

  std::optional<std::int32_t> id_named(const std::string& name,
                                       std::optional<std::int64_t> fallback) const {
    if (const auto token = named_tokens.find(name); token != named_tokens.end())
      return id_of(token->second);
    if (fallback && *fallback >= 0 && *fallback < std::ssize(special))
      return static_cast<std::int32_t>(*fallback);
    return std::nullopt;
  }

  void check_id(std::int32_t id) const {
    if (id < 0 || id >= std::ssize(special))
      bad_input(where, fmt::format("expected a token id in [0, {}), got {}", special.size(), id),
                "use the tokenizer that the ids were made with");
  }
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::load(const fs::path& path) {
  if (kind_of_model(path) == ModelPath::gguf) return from_gguf(GgufFile(path));
  return from_source(read_tokenizer_files(path));
}

Tokenizer Tokenizer::from_gguf(const GgufFile& file) {
  return from_source(read_gguf_tokenizer(file));
}

Tokenizer Tokenizer::from_source(TokenizerSource source) {
  return Tokenizer(std::make_unique<Impl>(std::move(source)));
}

Encoding Tokenizer::encode(std::string_view text, bool add_special) const {
  const TextRsSlice slice = slice_of(text);
  return Tokens(impl_->tokenizer.get(), {&slice, 1}, add_special, true).encoding(0);
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const std::string> texts,
                                              bool add_special) const {
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  for (const Tokens& part : encode_parts(impl_->tokenizer.get(), texts, add_special, true))
    for (std::size_t i = 0; i < part.ends().size(); ++i) encodings.push_back(part.encoding(i));
  return encodings;
}

TokenSequences Tokenizer::encode_ids(std::span<const std::string> texts, bool add_special) const {
  TokenSequences all;
  all.ends.reserve(texts.size());
  for (const Tokens& part : encode_parts(impl_->tokenizer.get(), texts, add_special, false)) {
    const std::size_t n_before = all.ids.size();
    all.ids.insert(all.ids.end(), part.ids().begin(), part.ids().end());
    for (const std::size_t end : part.ends()) all.ends.push_back(n_before + end);
  }
  return all;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  for (const std::int32_t id : ids) impl_->check_id(id);
  return take(rust<TextRsString>(impl_->where, kTextRemedy, [&](auto* out, auto* error) {
    return text_rs_decode(impl_->tokenizer.get(), ids.data(), ids.size(), skip_special, out, error);
  }));
}

std::string Tokenizer::token(std::int32_t id) const {
  impl_->check_id(id);
  return take(rust<TextRsString>(impl_->where, kTextRemedy, [&](auto* out, auto* error) {
    return text_rs_token_text(impl_->tokenizer.get(), id, out, error);
  }));
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  return impl_->id_of(token);
}

std::int32_t Tokenizer::vocab_size() const {
  return static_cast<std::int32_t>(impl_->special.size());
}

bool Tokenizer::is_special(std::int32_t id) const {
  return id >= 0 && id < std::ssize(impl_->special) && impl_->special[id] != 0;
}

void Tokenizer::require_fit(std::int64_t n_embeddings, std::string_view model) const {
  const std::size_t last = impl_->special.rfind('\0');
  if (last == std::string::npos || static_cast<std::int64_t>(last) < n_embeddings) return;
  bad_input(model,
            fmt::format("expected an embedding for each of {} tokens of {}, got {}", last + 1,
                        impl_->where, n_embeddings),
            "give the tokenizer that came with this model");
}

std::optional<std::int32_t> Tokenizer::bos() const {
  return impl_->bos;
}
std::optional<std::int32_t> Tokenizer::eos() const {
  return impl_->eos;
}

const std::optional<std::string>& Tokenizer::chat_template() const {
  return impl_->chat_template;
}

const std::map<std::string, std::string>& Tokenizer::named_tokens() const {
  return impl_->named_tokens;
}

std::string Tokenizer::render_template(std::string_view variables_json) const {
  if (!impl_->chat_template)
    bad_input(impl_->where, "expected a chat template, got none",
              "use an instruction-tuned model, or give plain text instead of messages");
  if (!impl_->compiled_template)
    bad_input(impl_->where, fmt::format("its chat template: {}", impl_->template_error),
              "correct the template");
  return take(rust<TextRsString>(
      impl_->where + ": chat template", "change the messages to what this model's template accepts",
      [&](auto* out, auto* error) {
        return text_rs_template_render(impl_->compiled_template.get(), slice_of(variables_json),
                                       out, error);
      }));
}

}  // namespace safesail
