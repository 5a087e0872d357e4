// A model's description without its weights.
#pragma once

#include "base/file.h"
#include "model/spec.h"

namespace safesail {

/// `path`: a Hugging Face folder or a .gguf file. Reads config.json or the metadata only.
ModelSpec read_spec(const fs::path& path);

}  // namespace safesail
