// Gemma 2 and Gemma 3 (text): norms before and after each block that multiply by 1 + w, scaled
// embeddings, local and global layers; Gemma 2 caps its logits, Gemma 3 norms queries and keys.
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "model/families/config_keys.h"
#include "model/families/family.h"
#include "model/families/gguf_keys.h"
#include "model/families/rope.h"
#include "model/families/windows.h"

namespace safesail {
namespace {

/// Local layers turn by another rotation than global ones.
constexpr int kGlobalRope = 0, kLocalRope = 1;

WeightMap gemma_names() {
  WeightMap map = llama_names();
  map.norm_offset = 1;
  map.attn_post_norm = "layers.{}.post_attention_layernorm";
  map.mlp_norm = "layers.{}.pre_feedforward_layernorm";
  map.mlp_post_norm = "layers.{}.post_feedforward_layernorm";
  return map;
}

void set_gemma_traits(ModelSpec& spec) {
  spec.post_norms = true;
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.d_model));
}

ModelPlan read_gemma(const JsonObject& config) {
  ModelPlan plan{read_common(config), gemma_names()};
  ModelSpec& spec = plan.spec;
  set_gemma_traits(spec);
  spec.modules = plan.map.modules();
  spec.activation = read_activation(config, "hidden_activation", "gelu_pytorch_tanh");
  spec.attention_scale = 1 / std::sqrt(config.get<double>("query_pre_attn_scalar"));
  spec.tied_head = config.get_or<bool>("tie_word_embeddings", true);
  spec.attention_softcap = config.get_or<double>("attn_logit_softcapping", 0);
  spec.final_softcap = config.get_or<double>("final_logit_softcapping", 0);
  plan.map.qkv_bias = plan.map.attn_out_bias =
      config.get_or<bool>("attention_bias", false) ? Bias::always : Bias::none;
  return plan;
}

ModelPlan read_gemma(const GgufFile& file, std::int64_t layers_of_27b) {
  ModelPlan plan = read_common(file, NormKind::rms, gemma_names());
  ModelSpec& spec = plan.spec;
  set_gemma_traits(spec);
  spec.activation = Activation::gelu_tanh;
  // The largest models of both generations scale by the width of a query, not of a head.
  if (spec.n_layers == layers_of_27b)
    spec.attention_scale =
        1 / std::sqrt(static_cast<double>(spec.d_model) / static_cast<double>(spec.n_heads));
  return plan;
}

/// Every `period`-th layer sees everything, the others a window.
std::function<bool(std::int64_t)> all_but_every(std::string_view where, std::int64_t period) {
  if (period < 1)
    bad_input(where, fmt::format("expected a sliding_window_pattern of at least 1, got {}", period),
              "check attention.sliding_window_pattern (sliding_window_pattern in config.json)");
  return [period](std::int64_t layer) { return (layer + 1) % period != 0; };
}

}  // namespace

ModelPlan gemma2_from_config(const JsonObject& given) {
  const Json settings = with_defaults(given, {{"num_key_value_heads", 4},
                                              {"head_dim", 256},
                                              {"query_pre_attn_scalar", 256},
                                              {"sliding_window", 4096},
                                              {"attn_logit_softcapping", 50},
                                              {"final_logit_softcapping", 30}});
  const JsonObject config(settings, given.where());
  ModelPlan plan = read_gemma(config);
  ModelSpec& spec = plan.spec;
  spec.ropes = {
      read_rope(config, spec.head_dim, {.theta = config.get_or<double>("rope_theta", 10000)})};
  read_windows(spec, config, kGlobalRope, all_but_every(config.where(), 2));
  return plan;
}

ModelPlan gemma2_from_gguf(const GgufFile& file) {
  const std::string where = file.path().string();
  ModelPlan plan = read_gemma(file, 46);
  ModelSpec& spec = plan.spec;
  spec.attention_softcap = gguf_number_or(file, "attn_logit_softcapping", 50);
  spec.final_softcap = gguf_number_or(file, "final_logit_softcapping", 30);
  spec.ropes = {read_rope(file, spec.head_dim),
                read_rope(file, spec.head_dim, "rope.freq_base_swa")};
  set_windows(spec, where, gguf_integer_or(file, "attention.sliding_window", 4096), kLocalRope,
              all_but_every(where, gguf_integer_or(file, "attention.sliding_window_pattern", 2)));
  return plan;
}

ModelPlan gemma3_from_config(const JsonObject& whole) {
  // The multimodal models keep the language model's settings one level down, and leave out what is
  // the default of their class.
  const std::optional<JsonObject> text = whole.find_object("text_config");
  const Json settings = with_defaults(text.value_or(whole), {{"model_type", "gemma3_text"},
                                                             {"vocab_size", 262208},
                                                             {"hidden_size", 2304},
                                                             {"intermediate_size", 9216},
                                                             {"num_hidden_layers", 26},
                                                             {"num_attention_heads", 8},
                                                             {"num_key_value_heads", 4},
                                                             {"head_dim", 256},
                                                             {"query_pre_attn_scalar", 256},
                                                             {"sliding_window", 4096},
                                                             {"max_position_embeddings", 131072}});
  const JsonObject config(settings, text ? text->where() : whole.where());
  ModelPlan plan = read_gemma(config);
  plan.map.unused.insert(plan.map.unused.end(), {"*vision_tower.*", "*multi_modal_projector.*"});
  ModelSpec& spec = plan.spec;
  spec.qk_norm = true;
  if (spec.eos.empty()) spec.eos = read_ids(whole, "eos_token_id");

  const std::optional<JsonObject> parameters = config.find_object("rope_parameters");
  const auto of_layers = [&](std::string_view kind) {
    return parameters ? parameters->find_object(kind) : std::nullopt;
  };
  if (parameters && !parameters->json().empty() && !of_layers("full_attention") &&
      !of_layers("sliding_attention"))
    bad_input(parameters->where(), "expected the settings of full_attention and sliding_attention",
              "use the config.json that came with the weights");
  // The old style scales the global layers alone.
  std::optional<JsonObject> global = config.find_object("rope_scaling");
  if (!global) global = of_layers("full_attention");
  spec.ropes.resize(2);
  spec.ropes[kGlobalRope] =
      read_rope(config, global, spec.head_dim, {.theta = config.get_or<double>("rope_theta", 1e6)});
  spec.ropes[kLocalRope] =
      read_rope(config, of_layers("sliding_attention"), spec.head_dim,
                {.theta = config.get_or<double>("rope_local_base_freq", 10000)});
  read_windows(
      spec, config, kLocalRope,
      all_but_every(config.where(), config.get_or<std::int64_t>("sliding_window_pattern", 6)));
  return plan;
}

ModelPlan gemma3_from_gguf(const GgufFile& file) {
  const std::string where = file.path().string();
  ModelPlan plan = read_gemma(file, 62);
  ModelSpec& spec = plan.spec;
  spec.qk_norm = true;
  spec.final_softcap = gguf_number_or(file, "final_logit_softcapping", 0);
  spec.ropes = {read_rope(file, spec.head_dim)};
  spec.ropes.push_back(plain_rope(where, gguf_number_or(file, "rope.freq_base_swa", 10000),
                                  2 * std::ssize(spec.ropes[kGlobalRope].inv_freq), spec.head_dim));
  if (const std::int64_t window = gguf_integer_or(file, "attention.sliding_window", 0); window != 0)
    set_windows(spec, where, window, kLocalRope,
                all_but_every(where, gguf_integer_or(file, "attention.sliding_window_pattern", 6)));
  return plan;
}

}  // namespace safesail
