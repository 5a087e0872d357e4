// What the tests of generation share: the tiny Llama, and how to continue it to a length.
#pragma once

#include <cstdint>
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

}  // namespace safesail::testing
