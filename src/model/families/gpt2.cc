// GPT-2: layer norms, learned positions, weights stored as [in, out].
#include "base/error.h"
#include "model/families/config_keys.h"
#include "model/families/family.h"
#include "model/families/gguf_keys.h"

namespace safesail {
namespace {

WeightMap gpt2_names() {
  WeightMap map;
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
  map.unused = {"*attn.bias", "*attn.masked_bias"};  // causal masks, which older versions stored
  return map;
}

void finish(ModelPlan& plan) {
  ModelSpec& spec = plan.spec;
  spec.norm = NormKind::layer;
  spec.learned_positions = true;
  spec.gated_mlp = false;
  for (LayerAttention& layer : spec.attention) layer.rope = LayerAttention::kNoRope;
  plan.map.qkv_bias = plan.map.attn_out_bias = plan.map.mlp_bias = Bias::always;
}

}  // namespace

ModelPlan gpt2_from_config(const JsonObject& whole) {
  const std::int64_t d_model =
      require_size(whole.where(), "n_embd", whole.get<std::int64_t>("n_embd"), kMaxWidth);
  Json settings = whole.json();
  settings["hidden_size"] = d_model;
  settings["num_hidden_layers"] = whole.get<std::int64_t>("n_layer");
  settings["num_attention_heads"] = whole.get<std::int64_t>("n_head");
  settings["intermediate_size"] = whole.get_or<std::int64_t>("n_inner", 4 * d_model);
  settings["max_position_embeddings"] = whole.get_or<std::int64_t>("n_positions", 1024);
  for (const char* key : {"num_key_value_heads", "head_dim"})
    settings.erase(key);  // GPT-2 has none
  const JsonObject config(settings, whole.where());
  ModelPlan plan{read_common(config), gpt2_names()};
  ModelSpec& spec = plan.spec;
  finish(plan);
  spec.modules = plan.map.modules();
  spec.norm_eps = config.get_or<double>("layer_norm_epsilon", 1e-5);
  spec.activation = read_activation(config, "activation_function", "gelu_new");
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", true);
  if (!config.get_or<bool>("scale_attn_weights", true)) spec.attention_scale = 1;
  return plan;
}

ModelPlan gpt2_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_common(file, NormKind::layer, gpt2_names());
  finish(plan);
  plan.spec.activation = Activation::gelu_tanh;
  plan.map.positions = "position_embd";
  plan.map.qkv_layout = QkvLayout::stacked;
  return plan;
}

}  // namespace safesail
