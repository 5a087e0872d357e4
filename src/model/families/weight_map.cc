#include "model/families/weight_map.h"

namespace safesail {

ModuleNames WeightMap::modules() const {
  const auto full = [&](const std::string& name) { return prefixes.front() + name; };
  return {.layer = full(attn_norm.substr(0, attn_norm.find("{}") + 2)),
          .attn_out = full(attn_out),
          .mlp_norm = full(mlp_norm),
          .mlp_out = full(down),
          .mlp_post = full(mlp_post_norm.empty() ? down : mlp_post_norm)};
}

WeightMap llama_names() {
  WeightMap map;
  map.prefixes = {"model.", "language_model.model.", "model.language_model.", ""};
  map.embedding = "embed_tokens";
  map.final_norm = "norm";
  map.heads = {"lm_head", "language_model.lm_head"};
  map.attn_norm = "layers.{}.input_layernorm";
  map.q = "layers.{}.self_attn.q_proj";
  map.k = "layers.{}.self_attn.k_proj";
  map.v = "layers.{}.self_attn.v_proj";
  map.q_norm = "layers.{}.self_attn.q_norm";
  map.k_norm = "layers.{}.self_attn.k_norm";
  map.attn_out = "layers.{}.self_attn.o_proj";
  map.mlp_norm = "layers.{}.post_attention_layernorm";
  map.gate = "layers.{}.mlp.gate_proj";
  map.up = "layers.{}.mlp.up_proj";
  map.down = "layers.{}.mlp.down_proj";
  map.unused = {"*rotary_emb.inv_freq"};
  return map;
}

}  // namespace safesail
