// GPT-NeoX (Pythia): layer norms, partly rotated heads, attention and MLP side by side, queries,
// keys and values of each head in one tensor.
#include "model/families/family.h"
#include "model/families/rope.h"

namespace safesail {
namespace {

void set_neox_traits(ModelSpec& spec) {
  spec.norm = NormKind::layer;
  spec.qkv_bias = spec.attention_out_bias = spec.mlp_bias = true;
  spec.gated_mlp = false;
  spec.activation = Activation::gelu;
}

}  // namespace

ModelPlan gpt_neox_from_config(const JsonObject& config) {
  ModelPlan plan{read_common(config), {}};
  ModelSpec& spec = plan.spec;
  set_neox_traits(spec);
  spec.norm_eps = config.get_or<double>("layer_norm_eps", 1e-5);
  spec.activation = read_activation(config, "hidden_act", "gelu");
  spec.qkv_bias = spec.attention_out_bias = config.get_or<bool>("attention_bias", true);
  spec.parallel_residual = config.get_or<bool>("use_parallel_residual", true);
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", false);
  spec.rope = read_rope(config, spec.head_dim, config.get_or<double>("rotary_emb_base", 10000),
                        config.get_or<double>("rotary_pct", 0.25));

  WeightMap& map = plan.map;
  map.prefixes = {"gpt_neox.", ""};
  map.embedding = "embed_in";
  map.final_norm = "final_layer_norm";
  map.heads = {"embed_out", "lm_head"};
  map.attn_norm = "layers.{}.input_layernorm";
  map.qkv_layout = QkvLayout::per_head;
  map.qkv = "layers.{}.attention.query_key_value";
  map.attn_out = "layers.{}.attention.dense";
  map.mlp_norm = "layers.{}.post_attention_layernorm";
  map.up = "layers.{}.mlp.dense_h_to_4h";
  map.down = "layers.{}.mlp.dense_4h_to_h";
  return plan;
}

ModelPlan gpt_neox_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_common(file);
  set_neox_traits(plan.spec);
  plan.spec.norm_eps = gguf_number_or(file, "attention.layer_norm_epsilon", 1e-5);
  const bool* parallel = file.find<bool>("gptneox.use_parallel_residual");
  plan.spec.parallel_residual = parallel == nullptr || *parallel;
  plan.map.qkv_layout = QkvLayout::stacked;  // the converter has put the heads apart
  return plan;
}

}  // namespace safesail
