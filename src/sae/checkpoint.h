// `sae.safetensors`: the weights together with everything needed to use them rightly, and golden
// vectors by which any loader can prove that it does. Format: docs/formats/sae.md.
//
// Reading treats the file as hostile. Errors name the file and the tensor or key.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/file.h"
#include "sae/sae.h"

namespace safesail {

/// What the weights belong to, as free text for people and other tools. Empty fields are written
/// as empty strings.
struct SaeProvenance {
  std::string site;                   ///< "mlp_out.17"; of a transcoder the one it reads
  std::string output_site;            ///< of a transcoder the one it reconstructs; else empty
  std::string hf_module;              ///< "model.layers.17.mlp.down_proj"
  std::string transformer_lens_hook;  ///< "blocks.17.hook_mlp_out"
  std::string model_name, model_hash, tokenizer_hash;
  std::string token_policy;  ///< "BOS read, left out of training; special tokens left out"
  std::string config_hash, program_version;
  std::uint64_t seed = 0;
  std::int64_t tokens_trained = 0;
  /// An import of an encoder that was published alone: W_dec and b_dec are zeros and mean nothing.
  bool encoder_only = false;
  // How the text was read, as far as that is known.
  std::optional<bool> prepends_bos;  ///< every sequence began with BOS
  std::int64_t context_size = 0;     ///< the longest sequence, in tokens
  std::string dataset;               ///< its files, or its name
};

/// Writes atomically. `golden_x`: some raw activations [n, d_in] of the site (64 are usual, more
/// are cut to 64); their codes are stored beside them.
void save_sae(const fs::path& path, const Sae& sae, const SaeProvenance& provenance,
              const at::Tensor& golden_x);

struct LoadedSae {
  Sae sae;
  SaeProvenance provenance;
  std::map<std::string, std::string> metadata;  ///< as found
};

/// Checks format version, architecture, shapes, finiteness and k <= n_features.
LoadedSae load_sae(const fs::path& path);

struct GoldenCheck {
  std::int64_t n_tokens = 0;
  /// Features of the stored codes that the loaded SAE does not give, and the reverse; a near-tie at
  /// the k-th place may swap two.
  std::int64_t n_different = 0;
  /// Largest |value - stored value| over shared features, relative to the largest stored value.
  double max_relative_difference = 0;
};

/// Encodes the golden activations of the file with the loaded weights and throws an input error
/// when they do not come out as stored.
GoldenCheck verify_sae(const fs::path& path);

}  // namespace safesail
