// Llama (1 to 3, SmolLM2, TinyLlama...) and Mistral: RMS norms, rotary positions, gated SiLU MLP.
#include <fmt/format.h>
#include <vector>

#include "base/error.h"
#include "model/families/config_keys.h"
#include "model/families/family.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope.h"
#include "model/families/windows.h"

namespace safesail {
namespace {

ModelPlan read_llama(const JsonObject& config) {
  ModelPlan plan{read_common(config), llama_names()};
  ModelSpec& spec = plan.spec;
  spec.modules = plan.map.modules();
  spec.ropes = {
      read_rope(config, spec.head_dim, {.theta = config.get_or<double>("rope_theta", 10000)})};
  spec.activation = read_activation(config, "hidden_act", "silu");
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", false);
  return plan;
}

}  // namespace

ModelPlan llama_from_config(const JsonObject& config) {
  ModelPlan plan = read_llama(config);
  const auto bias = [&](const char* key) {
    return config.get_or<bool>(key, false) ? Bias::always : Bias::none;
  };
  plan.map.qkv_bias = plan.map.attn_out_bias = bias("attention_bias");
  plan.map.mlp_bias = bias("mlp_bias");
  require_layer_types(plan.spec, config);
  return plan;
}

ModelPlan mistral_from_config(const JsonObject& given) {
  const Json settings =
      with_defaults(given, {{"num_key_value_heads", 8}, {"sliding_window", 4096}});
  const JsonObject config(settings, given.where());
  ModelPlan plan = read_llama(config);
  if (config.contains("sliding_window"))
    set_windows(plan.spec, config.where(), config.get<std::int64_t>("sliding_window"), 0,
                [](std::int64_t) { return true; });
  require_layer_types(plan.spec, config);
  return plan;
}

ModelPlan llama_from_gguf(const GgufFile& file) {
  const std::string where = file.path().string();
  ModelPlan plan = read_common(file, NormKind::rms, llama_names());
  ModelSpec& spec = plan.spec;
  plan.map.paired_rope_rows = true;
  Rope rope = read_rope(file, spec.head_dim);
  // Llama 3 scaling comes as a tensor of divisors.
  if (const auto entry = file.tensors().find("rope_freqs.weight"); entry != file.tensors().end()) {
    const std::size_t n = rope.inv_freq.size();
    if (entry->second.n_elements() != std::ssize(rope.inv_freq))
      bad_input(where,
                fmt::format("expected {} values in rope_freqs.weight, got {}", n,
                            entry->second.n_elements()),
                "check rope.dimension_count, or download the file again; it may be damaged");
    std::vector<float> divisors(n);
    dequantize(entry->second, 0, divisors);
    scale_each(rope, divisors);
    plan.map.unused.emplace_back("rope_freqs.weight");  // no more
  }
  spec.ropes = {std::move(rope)};
  if (const std::int64_t window = gguf_integer_or(file, "attention.sliding_window", 0); window != 0)
    set_windows(spec, where, window, 0, [](std::int64_t) { return true; });
  return plan;
}

}  // namespace safesail
