// The norm before a model's MLP, read without the rest of the model: SAEs of other tools may read
// what it computes before its weight (site_names.h, before_gain).
#pragma once

#include <vector>

#include "base/file.h"

namespace safesail {

/// What the normalised activation is multiplied by, and what is then added.
struct MlpNorm {
  std::vector<float> weight;  ///< [d_model], as it acts (of Gemma: 1 + the stored one)
  std::vector<float> bias;    ///< [d_model], or empty
};

/// `model`: a Hugging Face folder or a .gguf file. An input error where the model has no such layer
/// or the file no such tensor.
MlpNorm read_mlp_norm(const fs::path& model, int layer);

}  // namespace safesail
