// Converting SAE checkpoints between dialects, with proof: what was written is read back, and on 64
// activations the same features must fire with the same values and give the same reconstruction.
// Only then does the output get its name; otherwise nothing is left of it.
//
// One thread a conversion; different outputs may be converted at once. Formulas of the tolerance:
// docs/formats/sae_dialects.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "sae/dialects/dialect.h"

namespace safesail {

/// A file or folder of any known dialect; `from` names it, empty detects it.
ImportedSae read_any_sae(const fs::path& path, const std::string& from, const ReadOptions& options);

struct ConvertOptions {
  fs::path in, out;
  std::string from;  ///< empty: detect
  std::string to;
  ReadOptions read;
  fs::path golden;  ///< safetensors with activations `golden_key` [n, d_in]; empty: see golden_x
  std::string golden_key = "x";
};

/// How two SAEs compare on some activations.
struct Agreement {
  std::int64_t n_tokens = 0, n_active = 0;
  /// Largest difference of a feature's value and of xhat, each as a share of what rounding
  /// explains: at most 1 passes.
  double worst_value = 0, worst_xhat = 0;
  double max_value_difference = 0, max_xhat_difference = 0;
  std::string worst_feature;  ///< "token 3, feature 17: 0.5 before, 0.25 after"
};

struct Conversion {
  std::string from, to;
  SaeSpec spec;
  bool encoder_only = false;
  std::string golden;  ///< where the activations came from
  std::vector<std::string> notes;
  Agreement agreement;
};

/// Throws an input error when the input cannot be read, when the output exists or cannot say what
/// the SAE is, and when the check fails; that error names the worst feature.
Conversion convert_sae(const ConvertOptions& options);

/// The check alone. `x`: [n, d_in] f32. `with_xhat`: compare reconstructions too.
Agreement compare_saes(const Sae& before, const Sae& after, const at::Tensor& x, bool with_xhat);

/// Pseudo-random activations [64, d_in] in the range where this SAE's features fire, always the
/// same for the same SAE.
std::vector<float> activations_for(const Sae& sae);

}  // namespace safesail
