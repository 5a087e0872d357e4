// A decoder-only language model as data: everything the forward pass needs to know besides the
// weights. The families (families/*.cc) fill it from a config.json or from GGUF metadata; the one
// decoder (decoder.cc) reads it and knows no family by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

enum class NormKind {
  rms,    ///< x / rms(x) * w
  layer,  ///< (x - mean(x)) / std(x) * w + b
};

enum class Activation { silu, gelu_tanh, gelu };

/// Rotary positions: dimension pair (i, i + rotary/2) of a head turns by position * inv_freq[i].
/// Scalings (linear, llama3) are already inside the frequencies.
struct Rope {
  std::vector<float> inv_freq;  ///< [rotary_dim / 2]; empty: no rotation
};

struct ModelSpec {
  std::string family;  ///< "llama", "qwen2"...: for people and for reports, never for decisions

  std::int64_t n_layers = 0;
  std::int64_t d_model = 0;
  std::int64_t d_ff = 0;
  std::int64_t vocab_size = 0;  ///< rows of the embedding
  /// What the model was trained for; a hard limit only for learned positions.
  std::int64_t max_positions = 0;
  std::vector<std::int32_t> eos;  ///< ids that end a generation; may be empty

  NormKind norm = NormKind::rms;
  double norm_eps = 1e-5;
  bool post_norms = false;         ///< norms after attention and MLP too (Gemma 2 and 3)
  bool parallel_residual = false;  ///< attention and MLP both read the layer's input (GPT-NeoX)

  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;
  double attention_scale = 0;    ///< usually 1/sqrt(head_dim)
  double attention_softcap = 0;  ///< s -> cap * tanh(s / cap); 0: none
  bool qk_norm = false;          ///< RMS norm of every query and key head
  bool qkv_bias = false;
  bool attention_out_bias = false;
  /// Keys a token sees, itself included; 0: all. One entry a layer.
  std::vector<std::int32_t> window;

  bool learned_positions = false;
  Rope rope;
  Rope rope_windowed;  ///< of layers with a window

  bool gated_mlp = true;  ///< down(act(gate(x)) * up(x)), else down(act(up(x)))
  Activation activation = Activation::silu;
  bool mlp_bias = false;

  double embedding_scale = 1;  ///< rounded to the dtype of the model before use, as Gemma does
  bool tied_head = false;      ///< the head is the embedding
  bool head_bias = false;
  double final_softcap = 0;

  std::int64_t q_dim() const { return n_heads * head_dim; }
  std::int64_t kv_dim() const { return n_kv_heads * head_dim; }
  /// Width of the fused projection: queries, keys, values.
  std::int64_t qkv_dim() const { return q_dim() + 2 * kv_dim(); }
};

/// Throws an input error that names the impossible number; `where` is the file it came from.
void check_spec(const ModelSpec& spec, std::string_view where);

}  // namespace safesail
