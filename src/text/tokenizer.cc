#include "text/tokenizer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/json.h"
#include "formats/model_path.h"
#include "text/encode_parts.h"
#include "text/rust.h"
#include "text/tokenizer_settings.h"
#include "text/tokenizer_source.h"

namespace safesail {
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
    const std::string settings = dump_json(tokenizer_settings(source.config, source.ends));
    tokenizer.reset(rust<TextRsTokenizer*>(where, remedy, [&](auto* out, auto* error) {
      return text_rs_tokenizer_new(slice_of(source.json), slice_of(settings), out, error);
    }));
    special = take(rust<TextRsString>(where, remedy, [&](auto* out, auto* error) {
      return text_rs_tokenizer_special(tokenizer.get(), out, error);
    }));
    named_tokens = named_tokens_of(source.config);
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
  return EncodedTexts(impl_->tokenizer.get(), {&slice, 1}, add_special, true).encoding(0);
}

std::vector<Encoding> Tokenizer::encode_batch(std::span<const std::string> texts,
                                              bool add_special) const {
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  for (const EncodedTexts& part : encode_parts(impl_->tokenizer.get(), texts, add_special, true))
    for (std::size_t i = 0; i < part.ends().size(); ++i) encodings.push_back(part.encoding(i));
  return encodings;
}

TokenSequences Tokenizer::encode_ids(std::span<const std::string> texts, bool add_special) const {
  TokenSequences all;
  all.ends.reserve(texts.size());
  for (const EncodedTexts& part : encode_parts(impl_->tokenizer.get(), texts, add_special, false)) {
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
