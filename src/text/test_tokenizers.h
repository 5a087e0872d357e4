// Where the tests of this room find real tokenizers, and the golden files about them.
#pragma once

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/installed_testing.h"
#include "formats/json.h"
#include "text/tokenizer.h"
#include "text/tokenizer_source.h"

namespace safesail {

inline fs::path source_path(const std::string& relative) {
  return fs::path(SAFESAIL_SOURCE_DIR) / relative;
}

/// A file or folder that `variable` names, or else `.deps/<default_path>`; it may not be there.
inline fs::path real_path(const char* variable, const std::string& default_path) {
  const char* given = std::getenv(variable);
  return given != nullptr ? fs::path(given) : source_path(".deps/" + default_path);
}

inline fs::path smollm2_gguf() {
  return real_path("SAFESAIL_SMOLLM2_GGUF", "models/smollm2-135m-instruct-q4_1.gguf");
}
inline fs::path gemma3_gguf() {
  return real_path("SAFESAIL_GEMMA3_GGUF", "models/gemma3-270m-q4_k_m.gguf");
}
inline fs::path tokenizer_folder(const std::string& name) {
  return source_path(".deps/tokenizers/" + name);
}

inline Json golden(const std::string& name) {
  return read_json(source_path("tests/data/text/" + name + "_golden.json"));
}

/// The texts of tests/data/text/hard_strings.json, its rules spelt out.
inline std::vector<std::string> hard_strings() {
  std::vector<std::string> texts;
  for (const Json& item : read_json(source_path("tests/data/text/hard_strings.json"))) {
    if (item.is_string()) {
      texts.push_back(item);
      continue;
    }
    std::string text;
    for (int i = 0; i < item["times"].get<int>(); ++i)
      text += item["repeat"].get_ref<const std::string&>();
    texts.push_back(std::move(text));
  }
  return texts;
}

/// A tokenizer of two words with this chat template.
inline Tokenizer tokenizer_with_template(std::string_view source) {
  return Tokenizer::from_source({.where = "test",
                                 .json = R"({"version": "1.0", "added_tokens": [],
        "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "<s>": 1}}})",
                                 .config = {{"bos_token", "<s>"}},
                                 .ends = {},
                                 .chat_template = std::string(source),
                                 .bos = {},
                                 .eos = {}});
}

}  // namespace safesail
