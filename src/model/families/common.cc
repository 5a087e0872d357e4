// What the families share: the usual keys of config.json and of GGUF metadata.
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"
#include "model/families/family.h"
#include "model/families/rope.h"

namespace safesail {
namespace {

std::string gguf_key(const GgufFile& file, std::string_view key) {
  return fmt::format("{}.{}", file.get<std::string>("general.architecture"), key);
}

/// A size that is used before check_spec sees it.
std::int64_t sane(std::string_view where, std::string_view key, std::int64_t value,
                  std::int64_t highest) {
  if (value < 1 || value > highest)
    bad_input(where, fmt::format("expected {} from 1 to {}, got {}", key, highest, value),
              "check that the file is complete and belongs to a language model");
  return value;
}

constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxHeadDim = 4096;

}  // namespace

ModelSpec read_common(const JsonObject& config) {
  ModelSpec spec;
  spec.family = config.get<std::string>("model_type");
  spec.n_layers = sane(config.where(), "num_hidden_layers",
                       config.get<std::int64_t>("num_hidden_layers"), kMaxLayers);
  spec.d_model = config.get<std::int64_t>("hidden_size");
  spec.d_ff = config.get<std::int64_t>("intermediate_size");
  spec.vocab_size = config.get<std::int64_t>("vocab_size");
  spec.max_positions = config.get_or<std::int64_t>("max_position_embeddings", 0);
  spec.eos = read_ids(config, "eos_token_id");
  spec.norm_eps = config.get_or<double>("rms_norm_eps", 1e-6);
  spec.n_heads = sane(config.where(), "num_attention_heads",
                      config.get<std::int64_t>("num_attention_heads"), 4096);
  spec.n_kv_heads = config.get_or<std::int64_t>("num_key_value_heads", spec.n_heads);
  if (!config.contains("head_dim") && spec.d_model % spec.n_heads != 0)
    bad_input(config.where(),
              fmt::format("expected a hidden_size that num_attention_heads divides, got {} and {}",
                          spec.d_model, spec.n_heads),
              "use the config.json that came with the weights");
  spec.head_dim =
      sane(config.where(), "head_dim",
           config.get_or<std::int64_t>("head_dim", spec.d_model / spec.n_heads), kMaxHeadDim);
  spec.attention_scale = 1 / std::sqrt(static_cast<double>(spec.head_dim));
  spec.window.assign(static_cast<std::size_t>(spec.n_layers), 0);
  return spec;
}

std::int64_t gguf_integer(const GgufFile& file, std::string_view key) {
  return file.get<std::int64_t>(gguf_key(file, key));
}

std::int64_t gguf_integer_or(const GgufFile& file, std::string_view key, std::int64_t otherwise) {
  const std::int64_t* value = file.find<std::int64_t>(gguf_key(file, key));
  return value == nullptr ? otherwise : *value;
}

double gguf_number_or(const GgufFile& file, std::string_view key, double otherwise) {
  const double* value = file.find<double>(gguf_key(file, key));
  return value == nullptr ? otherwise : *value;
}

ModelPlan read_common(const GgufFile& file) {
  const std::string where = file.path().string();
  ModelPlan plan;
  ModelSpec& spec = plan.spec;
  spec.family = file.get<std::string>("general.architecture");
  spec.n_layers = sane(where, "block_count", gguf_integer(file, "block_count"), kMaxLayers);
  spec.d_model = gguf_integer(file, "embedding_length");
  spec.d_ff = gguf_integer(file, "feed_forward_length");
  spec.max_positions = gguf_integer_or(file, "context_length", 0);
  spec.n_heads =
      sane(where, "attention.head_count", gguf_integer(file, "attention.head_count"), 4096);
  spec.n_kv_heads = gguf_integer_or(file, "attention.head_count_kv", spec.n_heads);
  spec.head_dim =
      sane(where, "attention.key_length",
           gguf_integer_or(file, "attention.key_length", spec.d_model / spec.n_heads), kMaxHeadDim);
  spec.attention_scale =
      gguf_number_or(file, "attention.scale", 1 / std::sqrt(static_cast<double>(spec.head_dim)));
  spec.norm_eps = gguf_number_or(file, "attention.layer_norm_rms_epsilon", 1e-6);
  spec.window.assign(static_cast<std::size_t>(spec.n_layers), 0);
  if (const auto* eos = file.find<std::int64_t>("tokenizer.ggml.eos_token_id"))
    spec.eos.push_back(static_cast<std::int32_t>(*eos));
  if (const auto* eot = file.find<std::int64_t>("tokenizer.ggml.eot_token_id"))
    if (spec.eos.empty() || spec.eos.front() != *eot)
      spec.eos.push_back(static_cast<std::int32_t>(*eot));

  const GgufTensor& embedding = file.tensor("token_embd.weight");
  if (embedding.shape.size() != 2)
    bad_input(where, "expected token_embd.weight with two dimensions",
              "download the file again; it may be damaged");
  spec.vocab_size = embedding.shape[0];
  spec.tied_head = file.tensors().find("output.weight") == file.tensors().end();

  spec.rope = plain_rope(gguf_number_or(file, "rope.freq_base", 10000),
                         gguf_integer_or(file, "rope.dimension_count", spec.head_dim));
  if (const auto* scaling = file.find<std::string>(gguf_key(file, "rope.scaling.type"));
      scaling != nullptr && *scaling != "none") {
    if (*scaling != "linear")
      bad_input(where, fmt::format("expected rope scaling none or linear, got \"{}\"", *scaling),
                "this scaling of positions is not known; use a model with a known one");
    const double factor = gguf_number_or(file, "rope.scaling.factor", 1);
    if (!(factor > 0))
      bad_input(where, fmt::format("expected a positive rope.scaling.factor, got {}", factor),
                "download the file again; it may be damaged");
    scale_linear(spec.rope, factor);
  }

  WeightMap& map = plan.map;
  map.embedding = "token_embd";
  map.final_norm = "output_norm";
  map.heads = {"output"};
  map.attn_norm = "blk.{}.attn_norm";
  map.q = "blk.{}.attn_q";
  map.k = "blk.{}.attn_k";
  map.v = "blk.{}.attn_v";
  map.qkv = "blk.{}.attn_qkv";
  map.q_norm = "blk.{}.attn_q_norm";
  map.k_norm = "blk.{}.attn_k_norm";
  map.attn_out = "blk.{}.attn_output";
  map.attn_post_norm = "blk.{}.post_attention_norm";
  map.mlp_norm = "blk.{}.ffn_norm";
  map.gate = "blk.{}.ffn_gate";
  map.up = "blk.{}.ffn_up";
  map.down = "blk.{}.ffn_down";
  map.mlp_post_norm = "blk.{}.post_ffw_norm";
  return plan;
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
            fmt::format("expected silu, gelu, gelu_new or gelu_pytorch_tanh as \"{}\", got \"{}\"",
                        key, name),
            "this activation is not known; use a model of a known kind");
}

std::vector<std::int32_t> read_windows(const JsonObject& config, std::int64_t n_layers,
                                       std::int64_t window, bool (*is_windowed)(std::int64_t)) {
  if (window < 1 || window > std::numeric_limits<std::int32_t>::max())
    bad_input(config.where(),
              fmt::format("expected a sliding window of at least 1, got {}", window),
              "check sliding_window");
  std::vector<std::int32_t> windows;
  if (config.contains("layer_types")) {
    for (const std::string& type : config.get<std::vector<std::string>>("layer_types")) {
      if (type != "sliding_attention" && type != "full_attention")
        bad_input(config.where(),
                  fmt::format("expected sliding_attention or full_attention in layer_types, got {}",
                              type),
                  "this kind of layer is not known; use a model of a known kind");
      windows.push_back(type == "sliding_attention" ? static_cast<std::int32_t>(window) : 0);
    }
  } else {
    for (std::int64_t layer = 0; layer < n_layers; ++layer)
      windows.push_back(is_windowed(layer) ? static_cast<std::int32_t>(window) : 0);
  }
  return windows;
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
  return map;
}

}  // namespace safesail
