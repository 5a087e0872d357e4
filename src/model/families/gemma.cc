// Gemma 2 and Gemma 3 (text): norms before and after each block that multiply by 1 + w, scaled
// embeddings, local and global layers; Gemma 2 caps its logits, Gemma 3 norms queries and keys.
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"
#include "model/families/family.h"
#include "model/families/rope.h"

namespace safesail {
namespace {

void set_gemma_traits(ModelSpec& spec) {
  spec.post_norms = true;
  spec.activation = Activation::gelu_tanh;
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.d_model));
}

ModelPlan read_gemma(const JsonObject& config) {
  ModelPlan plan{read_common(config), llama_names()};
  ModelSpec& spec = plan.spec;
  set_gemma_traits(spec);
  spec.activation = read_activation(config, "hidden_activation", "gelu_pytorch_tanh");
  spec.qkv_bias = spec.attention_out_bias = config.get_or<bool>("attention_bias", false);
  spec.attention_scale = 1 / std::sqrt(config.get_or<double>("query_pre_attn_scalar", 256));
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", true);
  spec.attention_softcap = config.get_or<double>("attn_logit_softcapping", 0);
  spec.final_softcap = config.get_or<double>("final_logit_softcapping", 0);

  WeightMap& map = plan.map;
  map.norm_offset = 1;
  map.attn_post_norm = "layers.{}.post_attention_layernorm";
  map.mlp_norm = "layers.{}.pre_feedforward_layernorm";
  map.mlp_post_norm = "layers.{}.post_feedforward_layernorm";
  return plan;
}

ModelPlan read_gemma(const GgufFile& file) {
  ModelPlan plan = read_common(file);
  set_gemma_traits(plan.spec);
  return plan;
}

/// Every `period`-th layer sees everything, the others a window.
void set_windows(ModelSpec& spec, std::string_view where, std::int64_t window,
                 std::int64_t period) {
  if (window < 1 || window > std::numeric_limits<std::int32_t>::max() || period < 1)
    bad_input(where,
              fmt::format("expected a positive sliding window and pattern, got {} and {}", window,
                          period),
              "check that the file is complete");
  for (std::int64_t layer = 0; layer < spec.n_layers; ++layer)
    spec.window[static_cast<std::size_t>(layer)] =
        (layer + 1) % period == 0 ? 0 : static_cast<std::int32_t>(window);
}

/// The largest models of both generations scale by the width of a query, not of a head.
void set_gguf_scale(ModelSpec& spec, std::int64_t layers_of_27b) {
  if (spec.n_layers == layers_of_27b)
    spec.attention_scale =
        1 / std::sqrt(static_cast<double>(spec.d_model) / static_cast<double>(spec.n_heads));
}

}  // namespace

ModelPlan gemma2_from_config(const JsonObject& config) {
  ModelPlan plan = read_gemma(config);
  ModelSpec& spec = plan.spec;
  spec.attention_softcap = config.get_or<double>("attn_logit_softcapping", 50);
  spec.final_softcap = config.get_or<double>("final_logit_softcapping", 30);
  spec.window =
      read_windows(config, spec.n_layers, config.get_or<std::int64_t>("sliding_window", 4096),
                   [](std::int64_t layer) { return layer % 2 == 0; });
  spec.rope = spec.rope_windowed = read_rope(config, spec.head_dim, 10000);
  return plan;
}

ModelPlan gemma2_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_gemma(file);
  ModelSpec& spec = plan.spec;
  spec.attention_softcap = gguf_number_or(file, "attn_logit_softcapping", 50);
  spec.final_softcap = gguf_number_or(file, "final_logit_softcapping", 30);
  set_windows(spec, file.path().string(), gguf_integer_or(file, "attention.sliding_window", 4096),
              2);
  set_gguf_scale(spec, 46);
  spec.rope_windowed = spec.rope;
  return plan;
}

ModelPlan gemma3_from_config(const JsonObject& whole) {
  // The multimodal models keep the language model's settings one level down, and leave out what is
  // the default of their class.
  const std::optional<JsonObject> text = whole.find_object("text_config");
  Json settings = {{"model_type", "gemma3_text"},
                   {"vocab_size", 262208},
                   {"hidden_size", 2304},
                   {"intermediate_size", 9216},
                   {"num_hidden_layers", 26},
                   {"num_attention_heads", 8},
                   {"num_key_value_heads", 4},
                   {"head_dim", 256},
                   {"max_position_embeddings", 131072}};
  settings.update(text ? text->json() : whole.json());
  const JsonObject config(settings, whole.where());
  if (config.get_or<bool>("use_bidirectional_attention", false))
    bad_input(config.where(), "expected a model that generates text, got a bidirectional encoder",
              "use a decoder-only model");
  ModelPlan plan = read_gemma(config);
  ModelSpec& spec = plan.spec;
  spec.qk_norm = true;
  if (spec.eos.empty()) spec.eos = read_ids(whole, "eos_token_id");
  spec.window =
      read_windows(config, spec.n_layers, config.get_or<std::int64_t>("sliding_window", 4096),
                   [](std::int64_t) { return true; });
  if (!config.contains("layer_types"))
    set_windows(spec, config.where(), config.get_or<std::int64_t>("sliding_window", 4096),
                config.get_or<std::int64_t>("sliding_window_pattern", 6));
  spec.rope = read_rope(config, spec.head_dim, 1e6);
  const std::optional<JsonObject> parameters = config.find_object("rope_parameters");
  spec.rope_windowed =
      parameters && parameters->contains("sliding_attention")
          ? read_rope(config, spec.head_dim, 10000, 1, "sliding_attention")
          : plain_rope(config.get_or<double>("rope_local_base_freq", 10000), spec.head_dim);
  return plan;
}

ModelPlan gemma3_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_gemma(file);
  ModelSpec& spec = plan.spec;
  spec.qk_norm = true;
  set_windows(spec, file.path().string(), gguf_integer_or(file, "attention.sliding_window", 1024),
              6);
  set_gguf_scale(spec, 62);
  spec.rope_windowed = plain_rope(gguf_number_or(file, "rope.freq_base_swa", 10000), spec.head_dim);
  return plan;
}

}  // namespace safesail
