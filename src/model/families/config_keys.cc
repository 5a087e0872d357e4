#include "model/families/config_keys.h"

#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"

namespace safesail {

Json with_defaults(const JsonObject& config, Json defaults) {
  defaults.update(config.json());
  return defaults;
}

ModelSpec read_common(const JsonObject& config) {
  const auto size = [&](const char* key, std::int64_t highest) {
    return require_size(config.where(), key, config.get<std::int64_t>(key), highest);
  };
  ModelSpec spec;
  spec.family = config.get<std::string>("model_type");
  spec.n_layers = size("num_hidden_layers", kMaxLayers);
  spec.d_model = size("hidden_size", kMaxWidth);
  spec.d_ff = size("intermediate_size", kMaxWidth);
  spec.vocab_size = size("vocab_size", kMaxVocab);
  if (config.contains("max_position_embeddings"))
    spec.max_positions = size("max_position_embeddings", std::numeric_limits<std::int32_t>::max());
  spec.eos = read_ids(config, "eos_token_id");
  spec.norm_eps = config.get_or<double>("rms_norm_eps", 1e-6);
  spec.n_heads = size("num_attention_heads", kMaxHeads);
  spec.n_kv_heads =
      require_size(config.where(), "num_key_value_heads",
                   config.get_or<std::int64_t>("num_key_value_heads", spec.n_heads), spec.n_heads);
  if (!config.contains("head_dim") && spec.d_model % spec.n_heads != 0)
    bad_input(config.where(),
              fmt::format("expected a hidden_size that num_attention_heads divides, got {} and {}",
                          spec.d_model, spec.n_heads),
              "use the config.json that came with the weights");
  spec.head_dim = require_size(config.where(), "head_dim",
                               config.get_or<std::int64_t>("head_dim", spec.d_model / spec.n_heads),
                               kMaxHeadDim);
  spec.attention_scale = 1 / std::sqrt(static_cast<double>(spec.head_dim));
  spec.attention.resize(static_cast<std::size_t>(spec.n_layers));
  return spec;
}

std::vector<std::int32_t> read_ids(const JsonObject& config, std::string_view key) {
  if (!config.contains(key)) return {};
  const bool one = config.json().at(std::string(key)).is_number();
  const auto values = one ? std::vector<std::int64_t>{config.get<std::int64_t>(key)}
                          : config.get<std::vector<std::int64_t>>(key);
  std::vector<std::int32_t> ids;
  for (const std::int64_t id : values) {
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max())
      bad_input(config.where(), fmt::format("expected a token id as {}, got {}", key, id),
                "use the config.json that came with the weights");
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

Activation read_activation(const JsonObject& config, std::string_view key, std::string otherwise) {
  const std::string name = config.get_or<std::string>(key, std::move(otherwise));
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast")
    return Activation::gelu_tanh;
  bad_input(config.where(),
            fmt::format("expected silu, gelu, gelu_new or gelu_pytorch_tanh as {}, got {}", key,
                        printable(name)),
            "this activation is not known; use a model of a known kind");
}

}  // namespace safesail
