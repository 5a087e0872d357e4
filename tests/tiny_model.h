// The tiny Llama of the model tests with a tokenizer of its own, as a folder.
#pragma once

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "base/rng.h"

namespace safesail {

inline constexpr int kTinyWords = 150;  ///< below the 199 that the model knows

/// `first_word` is the word of id 0, so that two tokenizers may differ.
inline void write_tiny_model(const fs::path& folder, const std::string& first_word = "w0") {
  const fs::path golden = fs::path(SAFESAIL_SOURCE_DIR) / "tests/data/model/llama";
  fs::create_directories(folder);
  for (const char* name : {"config.json", "model.safetensors"})
    fs::copy(golden / name, folder / name);
  nlohmann::json vocabulary = {{first_word, 0}};
  for (int word = 1; word < kTinyWords; ++word) vocabulary[fmt::format("w{}", word)] = word;
  const nlohmann::json tokenizer = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", nlohmann::json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
      {"post_processor", nullptr},
      {"decoder", nullptr},
      {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", first_word}}}};
  write_file(folder / "tokenizer.json", tokenizer.dump());
}

/// Lines of random words that it knows, a document each.
inline std::string tiny_corpus(int n_documents, int n_words, std::uint64_t seed = 12) {
  Rng rng(seed, "words");
  std::string corpus;
  for (int document = 0; document < n_documents; ++document) {
    for (int word = 0; word < n_words; ++word) corpus += fmt::format("w{} ", rng.below(kTinyWords));
    corpus += "\n";
  }
  return corpus;
}

}  // namespace safesail
