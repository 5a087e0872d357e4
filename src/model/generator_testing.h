// What the tests of generation share: the tiny Llama, and how to continue it to a length.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/generator.h"
#include "model/golden_testing.h"

namespace safesail::testing {

using Ids = std::vector<std::int32_t>;

/// Loaded once.
inline const LanguageModel& llama() {
  static const LanguageModel model = load_model(data_folder() / "llama");
  return model;
}

/// The likeliest token each time, `n` of them whatever they are.
inline SequenceConfig greedy(std::int64_t n) {
  SequenceConfig config;
  config.max_new_tokens = n;
  config.stop_at_eos = false;
  return config;
}

/// A form of words, to the tiny Llama ids 10 and up are the letters from 'a' on, and id 3 ends.
inline std::shared_ptr<Constraint> letters(const std::string& regex) {
  static const ConstraintVocabulary vocabulary = [] {
    std::vector<std::string> tokens(static_cast<std::size_t>(llama().spec().vocab_size));
    for (int letter = 0; letter < 26; ++letter)
      tokens[static_cast<std::size_t>(10 + letter)] =
          std::string(1, static_cast<char>('a' + letter));
    const Ids ends{3};
    return ConstraintVocabulary(tokens, ends);
  }();
  const ConstraintSource source{ConstraintSource::Kind::regex, regex};
  return std::make_shared<Constraint>(vocabulary, source, "test");
}
inline std::string word_of(const Ids& ids) {
  std::string word;
  for (const std::int32_t id : ids) word += static_cast<char>('a' + id - 10);
  return word;
}

}  // namespace safesail::testing
