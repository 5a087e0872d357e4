// What a path names where a model is asked for: decided here for weights, tokenizers and
// descriptions alike.
#pragma once

#include <string>

#include "base/file.h"

namespace safesail {

enum class ModelPath {
  folder,  ///< of Hugging Face's layout
  gguf,    ///< a file that begins as GGUF does, whatever its name (Ollama's blobs have none), or is
           ///< named *.gguf
  other,   ///< another file, or nothing
};

ModelPath kind_of_model(const fs::path& path);

/// What people call the model: the last part of the path without ".gguf".
std::string name_of_model(const fs::path& path);

}  // namespace safesail
