// How a byte-level vocabulary in a GGUF file splits texts: llama.cpp's converter keeps only a name
// for the pipeline of tokenizer.json. Internal to the room; free function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace safesail {

class GgufFile;

/// The parts of tokenizer.json that the family's own file has, as JSON.
struct ByteLevelPipeline {
  std::string_view normalizer;
  std::string_view pre_tokenizer;
  bool ignore_merges;  ///< a word that is a token is that token, whatever the merges say
  bool add_bos;        ///< where tokenizer.ggml.add_bos_token is missing
};

/// What tokenizer.ggml.pre names. Files older than that key, and those that say "default", are told
/// by their architecture and vocabulary; an input error where neither tells, and for a name that is
/// not known.
const ByteLevelPipeline& byte_level_pipeline(const GgufFile& file,
                                             const std::vector<std::string>& tokens);

}  // namespace safesail
