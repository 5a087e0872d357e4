#include "model/families/gguf_keys.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <string>

#include "base/error.h"
#include "formats/json.h"
#include "model/families/rope.h"

namespace safesail {
namespace {

std::string gguf_key(const GgufFile& file, std::string_view key) {
  return fmt::format("{}.{}", file.get<std::string>("general.architecture"), key);
}

WeightMap gguf_names() {
  WeightMap map;
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
  map.qkv_bias = map.attn_out_bias = map.mlp_bias = Bias::if_stored;
  map.unused = {"blk.*.attn_rot_embd"};
  return map;
}

}  // namespace

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

Rope read_rope(const GgufFile& file, std::int64_t head_dim, std::string_view base_key) {
  const std::string where = file.path().string();
  const double base = gguf_number_or(file, "rope.freq_base", 10000);
  Rope rope = plain_rope(where, gguf_number_or(file, base_key, base),
                         gguf_integer_or(file, "rope.dimension_count", head_dim), head_dim);
  const std::string* type = file.find<std::string>(gguf_key(file, "rope.scaling.type"));
  if (type != nullptr && *type == "none") return rope;
  if (type != nullptr && *type != "linear")
    bad_input(where,
              fmt::format("expected rope.scaling.type none or linear, got {}", printable(*type)),
              "this scaling of positions is not known; use a model with a known one");
  const double factor =
      gguf_number_or(file, "rope.scaling.factor", gguf_number_or(file, "rope.scale_linear", 0));
  if (factor != 0) scale_linear(rope, where, factor);
  return rope;
}

ModelPlan read_common(const GgufFile& file, NormKind norm, const WeightMap& hugging_face) {
  const std::string where = file.path().string();
  const auto size = [&](const char* key, std::int64_t highest) {
    return require_size(where, key, gguf_integer(file, key), highest);
  };
  ModelPlan plan;
  ModelSpec& spec = plan.spec;
  spec.family = file.get<std::string>("general.architecture");
  spec.modules = hugging_face.modules();
  spec.n_layers = size("block_count", kMaxLayers);
  spec.d_model = size("embedding_length", kMaxWidth);
  spec.d_ff = size("feed_forward_length", kMaxWidth);
  if (gguf_integer_or(file, "context_length", 0) != 0)
    spec.max_positions = size("context_length", std::numeric_limits<std::int32_t>::max());
  spec.n_heads = size("attention.head_count", kMaxHeads);
  spec.n_kv_heads =
      require_size(where, "attention.head_count_kv",
                   gguf_integer_or(file, "attention.head_count_kv", spec.n_heads), spec.n_heads);
  spec.head_dim = require_size(
      where, "attention.key_length",
      gguf_integer_or(file, "attention.key_length", spec.d_model / spec.n_heads), kMaxHeadDim);
  if (const auto values = gguf_integer_or(file, "attention.value_length", spec.head_dim);
      values != spec.head_dim)
    bad_input(where,
              fmt::format("expected attention.value_length {} as attention.key_length, got {}",
                          spec.head_dim, values),
              "heads whose keys and values differ in size are not known; use another model");
  spec.attention_scale =
      gguf_number_or(file, "attention.scale", 1 / std::sqrt(static_cast<double>(spec.head_dim)));
  spec.norm = norm;
  spec.norm_eps =
      file.get<double>(gguf_key(file, norm == NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                            : "attention.layer_norm_epsilon"));

  const GgufTensor& embedding = file.tensor("token_embd.weight");
  if (embedding.shape.size() != 2)
    bad_input(where, "expected token_embd.weight with two dimensions",
              "download the file again; it may be damaged");
  spec.vocab_size = embedding.shape[0];
  spec.tied_head = true;

  // What lies outside the vocabulary names no token; llama.cpp passes over it too.
  for (const char* key : {"eos", "eot", "eom"})
    if (const auto* id = file.find<std::int64_t>(fmt::format("tokenizer.ggml.{}_token_id", key));
        id != nullptr && *id >= 0 && *id < spec.vocab_size &&
        std::ranges::find(spec.eos, *id) == spec.eos.end())
      spec.eos.push_back(static_cast<std::int32_t>(*id));

  spec.attention.resize(static_cast<std::size_t>(spec.n_layers));
  plan.map = gguf_names();
  return plan;
}

}  // namespace safesail
