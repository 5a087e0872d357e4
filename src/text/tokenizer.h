// A model's tokenizer: text <-> token ids, exactly as Hugging Face's `tokenizers` does it (the Rust
// crate itself runs behind text_rs.h). Immutable after construction; may be used from several
// threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace safesail {

class GgufFile;
struct TokenizerSource;

struct Encoding {
  std::vector<std::int32_t> ids;
  /// Byte range [begin, end) of each token in the UTF-8 text; {0, 0} for tokens that the tokenizer
  /// added.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> offsets;
};

/// Ids of several texts, laid end to end: text i is ids[ends[i - 1], ends[i]).
struct TokenSequences {
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> ends;
};

class Tokenizer {
 public:
  /// `path`: a model folder with tokenizer.json (and tokenizer_config.json where there is one), a
  /// tokenizer.json file, or a .gguf file.
  static Tokenizer load(const fs::path& path);
  static Tokenizer from_gguf(const GgufFile& file);
  /// From the files' contents; see tokenizer_source.h.
  static Tokenizer from_source(TokenizerSource source);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// `add_special`: BOS / EOS as the tokenizer's post-processor adds them. Special tokens written
  /// in the text ("<|im_end|>") become their ids either way, as in transformers. Invalid UTF-8 is
  /// an input error.
  Encoding encode(std::string_view text, bool add_special) const;
  /// Many texts at once, on several threads.
  std::vector<Encoding> encode_batch(std::span<const std::string> texts, bool add_special) const;
  /// Without offsets: faster, and one allocation for all.
  TokenSequences encode_ids(std::span<const std::string> texts, bool add_special) const;

  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;
  /// The vocabulary's own spelling of one token ("Ġthe", "▁the", "<0xE4>").
  std::string token(std::int32_t id) const;
  std::optional<std::int32_t> id_of(std::string_view token) const;

  /// Ids run over [0, vocab_size()), added tokens included.
  std::int32_t vocab_size() const;
  bool is_special(std::int32_t id) const;
  /// An input error unless a model with `n_embeddings` rows has one for every token that is not
  /// special. (Special tokens may lie beyond: Gemma 3's image token does in its text models. Ids
  /// are checked once more where they are looked up.)
  void require_fit(std::int64_t n_embeddings, std::string_view model) const;
  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;

  /// The chat template (Jinja source) that came with the tokenizer, or nothing.
  const std::optional<std::string>& chat_template() const;
  /// "bos_token" -> "<s>" and so on, as tokenizer_config.json names them: variables of the
  /// template.
  const std::map<std::string, std::string>& named_tokens() const;
  /// Runs the chat template on a JSON object of variables; render_chat() in chat.h is the way in.
  std::string render_template(std::string_view variables_json) const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
