// Qwen2 / Qwen2.5 (biases on queries, keys and values) and Qwen3 (norms on queries and keys).
#include "model/families/config_keys.h"
#include "model/families/family.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope.h"
#include "model/families/windows.h"

namespace safesail {
namespace {

ModelPlan read_qwen(const JsonObject& config) {
  ModelPlan plan{read_common(config), llama_names()};
  ModelSpec& spec = plan.spec;
  spec.modules = plan.map.modules();
  spec.ropes = {
      read_rope(config, spec.head_dim, {.theta = config.get_or<double>("rope_theta", 10000)})};
  spec.activation = read_activation(config, "hidden_act", "silu");
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", false);
  // Written by every config and used by hardly any: layers from max_window_layers on have a window.
  if (config.get_or<bool>("use_sliding_window", false) && config.contains("sliding_window"))
    read_windows(spec, config, 0,
                 [first = config.get<std::int64_t>("max_window_layers")](std::int64_t layer) {
                   return layer >= first;
                 });
  else
    require_layer_types(spec, config);
  return plan;
}

ModelPlan read_qwen(const GgufFile& file) {
  ModelPlan plan = read_common(file, NormKind::rms, llama_names());
  plan.spec.ropes = {read_rope(file, plan.spec.head_dim)};
  return plan;
}

}  // namespace

ModelPlan qwen2_from_config(const JsonObject& given) {
  const Json settings = with_defaults(
      given, {{"num_key_value_heads", 32}, {"sliding_window", 4096}, {"max_window_layers", 28}});
  ModelPlan plan = read_qwen(JsonObject(settings, given.where()));
  plan.map.qkv_bias = Bias::always;
  return plan;
}

ModelPlan qwen2_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_qwen(file);
  plan.map.qkv_bias = Bias::always;
  return plan;
}

ModelPlan qwen3_from_config(const JsonObject& given) {
  const Json settings = with_defaults(given, {{"num_key_value_heads", 32},
                                              {"head_dim", 128},
                                              {"sliding_window", 4096},
                                              {"max_window_layers", 28}});
  const JsonObject config(settings, given.where());
  ModelPlan plan = read_qwen(config);
  plan.map.qkv_bias = plan.map.attn_out_bias =
      config.get_or<bool>("attention_bias", false) ? Bias::always : Bias::none;
  plan.spec.qk_norm = true;
  return plan;
}

ModelPlan qwen3_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_qwen(file);
  plan.spec.qk_norm = true;
  return plan;
}

}  // namespace safesail
