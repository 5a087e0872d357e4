#include "model/families/refused_settings.h"

#include <array>
#include <fmt/format.h>
#include <string>
#include <string_view>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::string_view kRemedy =
    "it changes what the model computes, and is not known here; use a model without it";

/// A number at which a key has no effect, as the key missing has none; booleans are 0 and 1.
struct Setting {
  std::string_view key;
  double neutral = 0;
  /// Families whose model_type begins so read it.
  std::string_view read_by = "-";
};

constexpr std::array kConfigSettings{
    // Of the class of every model in transformers.
    Setting{"is_causal", 1},
    Setting{"is_encoder_decoder"},
    Setting{"add_cross_attention"},
    Setting{"use_bidirectional_attention"},
    Setting{"attention_chunk_size"},
    // Of the families here, where another family has them too.
    Setting{"scale_attn_by_inverse_layer_idx"},
    Setting{"partial_rotary_factor", 1},
    Setting{"use_parallel_residual", 0, "gpt_neox"},
    Setting{"attn_logit_softcapping", 0, "gemma"},
    Setting{"final_logit_softcapping", 0, "gemma"},
    // Of relatives that are sometimes published under the name of one of the families here.
    Setting{"embedding_multiplier", 1},
    Setting{"residual_multiplier", 1},
    Setting{"attention_multiplier"},
    Setting{"logits_scaling", 1},
    Setting{"logit_scale", 1},
    Setting{"clip_qkv"},
    Setting{"use_qk_norm"},
    Setting{"qk_layernorm"},
    Setting{"alibi"},
    Setting{"parallel_attn"},
    Setting{"num_experts"},
    Setting{"num_local_experts"},
    Setting{"n_routed_experts"},
    Setting{"no_rope_layer_interval"},
};

constexpr std::array kGgufSettings{
    Setting{"attention.causal", 1},
    Setting{"attention.max_alibi_bias"},
    Setting{"attention.clamp_kqv"},
    Setting{"attention.shared_kv_layers"},
    Setting{"rope.scaling.attn_factor", 1},
    Setting{"logit_scale", 1},
    Setting{"residual_scale", 1},
    Setting{"embedding_scale", 1},
    Setting{"expert_count"},
    Setting{"nextn_predict_layers"},
    Setting{"attn_logit_softcapping", 0, "gemma2"},
    Setting{"final_logit_softcapping", 0, "gemma"},
};

void refuse_in(const JsonObject& config, std::string_view family) {
  if (const auto quantised = config.find_object("quantization_config"))
    bad_input(quantised->where(),
              fmt::format("expected weights that are not quantised, got quant_method {}",
                          printable(quantised->get_or<std::string>("quant_method", "?"))),
              "use the weights that they were made from, or a GGUF file of the model");
  for (const Setting& setting : kConfigSettings) {
    if (!config.contains(setting.key) || family.starts_with(setting.read_by)) continue;
    const Json& value = config.json().at(std::string(setting.key));
    const bool is_neutral = value.is_boolean()  ? value.get<bool>() == (setting.neutral != 0)
                            : value.is_number() ? value.get<double>() == setting.neutral
                                                : value.empty();
    if (!is_neutral)
      bad_input(config.where(),
                fmt::format("expected no {}, got {}", setting.key,
                            printable(dump_json(value, {.ascii = true}))),
                kRemedy);
  }
}

}  // namespace

void refuse_settings(const JsonObject& config) {
  const std::string family = config.get<std::string>("model_type");
  refuse_in(config, family);
  if (const auto text = config.find_object("text_config")) refuse_in(*text, family);
}

void refuse_settings(const GgufFile& file) {
  const std::string& family = file.get<std::string>("general.architecture");
  for (const Setting& setting : kGgufSettings) {
    const auto entry = file.metadata().find(fmt::format("{}.{}", family, setting.key));
    if (entry == file.metadata().end() || family.starts_with(setting.read_by)) continue;
    const auto* integer = std::get_if<std::int64_t>(&entry->second);
    const auto* number = std::get_if<double>(&entry->second);
    const auto* flag = std::get_if<bool>(&entry->second);
    const bool is_neutral =
        (integer != nullptr && static_cast<double>(*integer) == setting.neutral) ||
        (number != nullptr && *number == setting.neutral) ||
        (flag != nullptr && *flag == (setting.neutral != 0));
    if (!is_neutral)
      bad_input(file.path().string(),
                fmt::format("expected no {}, got one that is set", entry->first), kRemedy);
  }
}

}  // namespace safesail
