// GPT-NeoX (Pythia): layer norms, partly rotated heads, attention and MLP side by side, queries,
// keys and values of each head in one tensor.
#include <fmt/format.h>

#include "base/error.h"
#include "model/families/config_keys.h"
#include "model/families/family.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope.h"

namespace safesail {
namespace {

WeightMap neox_names() {
  WeightMap map;
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
  map.mlp_bias = Bias::always;
  // Causal masks and frequencies, which older versions stored.
  map.unused = {"*attention.bias", "*attention.masked_bias", "*rotary_emb.inv_freq"};
  return map;
}

/// Each head has keys and values of its own: the layout of its weights says nothing else.
void finish(ModelSpec& spec, std::string_view where) {
  if (spec.n_kv_heads != spec.n_heads)
    bad_input(
        where,
        fmt::format("expected as many key-value heads as attention heads ({}), got {} "
                    "(attention.head_count_kv, num_key_value_heads)",
                    spec.n_heads, spec.n_kv_heads),
        "GPT-NeoX models have no other kind; use the configuration that came with the weights");
  spec.norm = NormKind::layer;
  spec.gated_mlp = false;
}

}  // namespace

ModelPlan gpt_neox_from_config(const JsonObject& config) {
  ModelPlan plan{read_common(config), neox_names()};
  ModelSpec& spec = plan.spec;
  finish(spec, config.where());
  spec.modules = plan.map.modules();
  spec.norm_eps = config.get_or<double>("layer_norm_eps", 1e-5);
  spec.activation = read_activation(config, "hidden_act", "gelu");
  spec.parallel_residual = config.get_or<bool>("use_parallel_residual", true);
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", false);
  spec.ropes = {read_rope(config, spec.head_dim,
                          {.theta = config.get_or<double>("rotary_emb_base", 10000),
                           .may_be_partial = true,
                           .rotary_share = config.get_or<double>("rotary_pct", 0.25)})};
  plan.map.qkv_bias = plan.map.attn_out_bias =
      config.get_or<bool>("attention_bias", true) ? Bias::always : Bias::none;
  return plan;
}

ModelPlan gpt_neox_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_common(file, NormKind::layer, neox_names());
  finish(plan.spec, file.path().string());
  plan.spec.activation = Activation::gelu;
  plan.spec.ropes = {read_rope(file, plan.spec.head_dim)};
  const bool* parallel = file.find<bool>("gptneox.use_parallel_residual");
  plan.spec.parallel_residual = parallel == nullptr || *parallel;
  plan.map.qkv_layout = QkvLayout::stacked;  // the converter has put the heads apart
  plan.map.qkv_bias = plan.map.attn_out_bias = plan.map.mlp_bias = Bias::always;
  return plan;
}

}  // namespace safesail
