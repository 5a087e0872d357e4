// A language model together with its tokenizer, checked to belong together.
#pragma once

#include "base/file.h"
#include "base/report.h"
#include "model/language_model.h"
#include "text/tokenizer.h"

namespace safesail {

struct TextModel {
  Tokenizer tokenizer;
  LanguageModel model;
};

/// `path`: a Hugging Face folder or a .gguf file. Both parts come from it.
TextModel load_text_model(const fs::path& path, const LoadOptions& options, Reporter& reporter);

}  // namespace safesail
