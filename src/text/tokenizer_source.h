// What a tokenizer is made of, whatever file it came from: the contents of tokenizer.json, the keys
// of tokenizer_config.json, and the chat template.
#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "formats/json.h"

namespace safesail {

class GgufFile;

/// What is put around a text where special tokens are added.
struct AddedEnds {
  bool bos = false, eos = false;
};

struct TokenizerSource {
  std::string where;  ///< the file, for errors
  std::string json;   ///< tokenizer.json
  Json config;        ///< tokenizer_config.json, an object
  /// Replaces the post-processor of tokenizer.json.
  std::optional<AddedEnds> ends;
  std::optional<std::string> chat_template;
  /// From config.json or the GGUF file, where tokenizer_config.json names no such token.
  std::optional<std::int64_t> bos, eos;
};

/// `path`: a model folder or a tokenizer.json; the files beside it are read too.
TokenizerSource read_tokenizer_files(const fs::path& path);

/// The same two documents written from the metadata of a GGUF file. See docs/formats/tokenizer.md.
TokenizerSource read_gguf_tokenizer(const GgufFile& file);

}  // namespace safesail
