// What tells one model from another: hashes of its weights and of its tokenizer. Each is computed
// when it is first asked for, for that reads the whole of the files. One thread.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/file.h"

namespace safesail {

class Tokenizer;

class ModelIdentity {
 public:
  /// A Hugging Face folder or a .gguf file.
  explicit ModelIdentity(fs::path model) : path_(std::move(model)) {}

  const fs::path& path() const { return path_; }
  /// Of the weights' files as they are: the same model in another format or precision is another.
  const std::string& weights() const;
  /// Of what its tokens are, whatever the format of the file.
  const std::string& tokenizer() const;

 private:
  fs::path path_;
  mutable std::optional<std::string> weights_, tokenizer_;
};

/// Of the vocabulary in order, and of the ids of a text with what tokenizers treat differently.
std::string tokenizer_hash(const Tokenizer& tokenizer);

}  // namespace safesail
