// A decoder-only language model as data: everything the forward pass needs to know besides the
// weights. The families (families/*.cc) fill it from a config.json or from GGUF metadata; the one
// decoder (decoder.cc) reads it and knows no family by name.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

/// Far above every model there is, and small enough that no product of three overflows 64 bits.
inline constexpr std::int64_t kMaxLayers = 1024;
inline constexpr std::int64_t kMaxHeads = 4096;
inline constexpr std::int64_t kMaxHeadDim = 4096;
inline constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
inline constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;

enum class NormKind {
  rms,    ///< x / rms(x) * w
  layer,  ///< (x - mean(x)) / std(x) * w + b
};

enum class Activation { silu, gelu_tanh, gelu };

/// Rotary positions: dimension pair (i, i + rotary/2) of a head turns by position * inv_freq[i].
/// Scalings (linear, llama3) are already inside the frequencies.
struct Rope {
  std::vector<float> inv_freq;  ///< [rotary_dim / 2]
  bool operator==(const Rope&) const = default;
};

/// Which keys a token may see.
enum class Mask {
  causal,   ///< itself and all before it
  sliding,  ///< itself and the window - 1 before it
};

/// What differs between the attention of one layer and of the next.
struct LayerAttention {
  static constexpr int kNoRope = -1;

  Mask mask = Mask::causal;
  std::int32_t window = 0;  ///< keys that a token sees, itself included; 0 where the mask is causal
  int rope = 0;             ///< which of ModelSpec::ropes turns queries and keys, or kNoRope
  bool operator==(const LayerAttention&) const = default;
};

/// What Hugging Face calls the modules at which the sites are; "{}" stands for the layer. The same
/// whatever file the weights came from.
struct ModuleNames {
  std::string layer;     ///< "model.layers.{}"
  std::string attn_out;  ///< the attention's last projection
  std::string mlp_norm;  ///< what the MLP reads comes from it
  std::string mlp_out;   ///< the MLP's last projection
  std::string mlp_post;  ///< the norm behind the MLP; mlp_out where there is none
  bool operator==(const ModuleNames&) const = default;
};

struct ModelSpec {
  std::string family;  ///< "llama", "qwen2"...: for people and for reports, never for decisions
  ModuleNames modules;

  std::int64_t n_layers = 0;
  std::int64_t d_model = 0;
  std::int64_t d_ff = 0;
  std::int64_t vocab_size = 0;  ///< rows of the embedding
  /// What the model was trained for; a hard limit only for learned positions. 0: the file does not
  /// say; longest_text() is how to ask.
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
  std::vector<LayerAttention> attention;  ///< one entry a layer
  std::vector<Rope> ropes;                ///< what the layers choose from

  bool learned_positions = false;

  bool gated_mlp = true;  ///< down(act(gate(x)) * up(x)), else down(act(up(x)))
  Activation activation = Activation::silu;
  bool mlp_bias = false;

  double embedding_scale = 1;  ///< rounded to the dtype of the model before use, as Gemma does
  bool tied_head = false;      ///< the head is the embedding
  double final_softcap = 0;

  std::int64_t q_dim() const { return n_heads * head_dim; }
  std::int64_t kv_dim() const { return n_kv_heads * head_dim; }
  /// Width of the fused projection: queries, keys, values.
  std::int64_t qkv_dim() const { return q_dim() + 2 * kv_dim(); }
  /// Tokens of the longest text that the model was trained for, as far as that is known.
  std::int64_t longest_text() const {
    return max_positions > 0 ? max_positions : std::numeric_limits<std::int64_t>::max();
  }
  bool operator==(const ModelSpec&) const = default;
};

/// `size`, or an input error unless it is from 1 to `highest`: for what is used before check_spec.
std::int64_t require_size(std::string_view where, std::string_view name, std::int64_t size,
                          std::int64_t highest);

/// Throws an input error that names the impossible number; `where` is the file it came from.
void check_spec(const ModelSpec& spec, std::string_view where);

}  // namespace safesail
