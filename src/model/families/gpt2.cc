// GPT-2: layer norms, learned positions, weights stored as [in, out].
#include <cmath>

#include "base/error.h"
#include "model/families/family.h"

namespace safesail {
namespace {

void set_gpt2_traits(ModelSpec& spec) {
  spec.norm = NormKind::layer;
  spec.learned_positions = true;
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = true;
  spec.gated_mlp = false;
  spec.activation = Activation::gelu_tanh;
  spec.rope = {};
}

}  // namespace

ModelPlan gpt2_from_config(const JsonObject& whole) {
  const std::int64_t d_model = whole.get<std::int64_t>("n_embd");
  Json settings = whole.json();
  settings["hidden_size"] = d_model;
  settings["num_hidden_layers"] = whole.get<std::int64_t>("n_layer");
  settings["num_attention_heads"] = whole.get<std::int64_t>("n_head");
  settings["intermediate_size"] = whole.get_or<std::int64_t>("n_inner", 4 * d_model);
  settings["max_position_embeddings"] = whole.get<std::int64_t>("n_positions");
  const JsonObject config(settings, whole.where());
  ModelPlan plan{read_common(config), {}};
  ModelSpec& spec = plan.spec;
  set_gpt2_traits(spec);
  spec.norm_eps = config.get_or<double>("layer_norm_epsilon", 1e-5);
  spec.activation = read_activation(config, "activation_function", "gelu_new");
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", true);
  if (!config.get_or<bool>("scale_attn_weights", true)) spec.attention_scale = 1;
  if (config.get_or<bool>("scale_attn_by_inverse_layer_idx", false))
    bad_input(config.where(), "scale_attn_by_inverse_layer_idx is not supported",
              "use a GPT-2 model without it");

  WeightMap& map = plan.map;
  map.prefixes = {"transformer.", ""};
  map.embedding = "wte";
  map.positions = "wpe";
  map.final_norm = "ln_f";
  map.heads = {"lm_head"};
  map.attn_norm = "h.{}.ln_1";
  map.qkv_layout = QkvLayout::stacked;
  map.qkv = "h.{}.attn.c_attn";
  map.attn_out = "h.{}.attn.c_proj";
  map.mlp_norm = "h.{}.ln_2";
  map.up = "h.{}.mlp.c_fc";
  map.down = "h.{}.mlp.c_proj";
  map.transposed = true;
  return plan;
}

ModelPlan gpt2_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_common(file);
  set_gpt2_traits(plan.spec);
  plan.spec.norm_eps = gguf_number_or(file, "attention.layer_norm_epsilon", 1e-5);
  plan.map.positions = "position_embd";
  plan.map.qkv_layout = QkvLayout::stacked;
  return plan;
}

}  // namespace safesail
