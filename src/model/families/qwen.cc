// Qwen2 / Qwen2.5 (biases on queries, keys and values) and Qwen3 (norms on queries and keys).
#include "model/families/family.h"
#include "model/families/rope.h"

namespace safesail {
namespace {

ModelPlan read_qwen(const JsonObject& config) {
  ModelSpec spec = read_common(config);
  spec.rope = read_rope(config, spec.head_dim, 10000);
  spec.activation = read_activation(config, "hidden_act", "silu");
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", false);
  // Written by every config and used by hardly any: layers from max_window_layers on have a window.
  if (config.get_or<bool>("use_sliding_window", false) && config.contains("sliding_window")) {
    spec.window = read_windows(config, spec.n_layers, config.get<std::int64_t>("sliding_window"),
                               [](std::int64_t) { return true; });
    const std::int64_t first = config.get_or<std::int64_t>("max_window_layers", 28);
    if (!config.contains("layer_types"))
      for (std::int64_t layer = 0; layer < std::min(first, spec.n_layers); ++layer)
        spec.window[static_cast<std::size_t>(layer)] = 0;
    spec.rope_windowed = spec.rope;
  }
  return {std::move(spec), llama_names()};
}

}  // namespace

ModelPlan qwen2_from_config(const JsonObject& config) {
  ModelPlan plan = read_qwen(config);
  plan.spec.qkv_bias = true;
  return plan;
}

ModelPlan qwen2_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_common(file);
  plan.spec.qkv_bias = true;
  return plan;
}

ModelPlan qwen3_from_config(const JsonObject& config) {
  ModelPlan plan = read_qwen(config);
  plan.spec.qkv_bias = plan.spec.attention_out_bias = config.get_or<bool>("attention_bias", false);
  plan.spec.qk_norm = true;
  return plan;
}

ModelPlan qwen3_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_common(file);
  plan.spec.qk_norm = true;
  return plan;
}

}  // namespace safesail
