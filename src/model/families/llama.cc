// Llama (1 to 3, SmolLM2, TinyLlama...) and Mistral: RMS norms, rotary positions, gated SiLU MLP.
#include <fmt/format.h>
#include <vector>

#include "base/error.h"
#include "model/families/family.h"
#include "model/families/rope.h"

namespace safesail {

ModelPlan llama_from_config(const JsonObject& config) {
  ModelSpec spec = read_common(config);
  spec.rope = read_rope(config, spec.head_dim, 10000);
  spec.activation = read_activation(config, "hidden_act", "silu");
  spec.qkv_bias = spec.attention_out_bias = config.get_or<bool>("attention_bias", false);
  spec.mlp_bias = config.get_or<bool>("mlp_bias", false);
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", false);
  return {std::move(spec), llama_names()};
}

ModelPlan mistral_from_config(const JsonObject& config) {
  ModelPlan plan = llama_from_config(config);
  if (config.contains("sliding_window")) {
    plan.spec.window =
        read_windows(config, plan.spec.n_layers, config.get<std::int64_t>("sliding_window"),
                     [](std::int64_t) { return true; });
    plan.spec.rope_windowed = plan.spec.rope;
  }
  return plan;
}

ModelPlan llama_from_gguf(const GgufFile& file) {
  ModelPlan plan = read_common(file);
  ModelSpec& spec = plan.spec;
  plan.map.paired_rope_rows = true;
  spec.attention_out_bias = file.tensors().contains("blk.0.attn_output.bias");
  spec.qkv_bias = file.tensors().contains("blk.0.attn_q.bias");
  // Llama 3 scaling comes as a tensor of divisors.
  if (const auto entry = file.tensors().find("rope_freqs.weight"); entry != file.tensors().end()) {
    const auto n = static_cast<std::size_t>(entry->second.n_elements());
    if (n != spec.rope.inv_freq.size())
      bad_input(file.path().string(),
                fmt::format("expected {} values in rope_freqs.weight, got {}",
                            spec.rope.inv_freq.size(), n),
                "download the file again; it may be damaged");
    std::vector<float> divisors(n);
    dequantize(entry->second, 0, divisors);
    scale_each(spec.rope, divisors);
  }
  if (const std::int64_t window = gguf_integer_or(file, "attention.sliding_window", 0);
      window != 0) {
    spec.window.assign(spec.window.size(), static_cast<std::int32_t>(window));
    spec.rope_windowed = spec.rope;
  }
  return plan;
}

}  // namespace safesail
