// The model families: each turns a config.json or GGUF metadata into the one neutral description
// (ModelSpec) and says where its weights lie in the file (WeightMap). To add a family: one file
// with these two functions, one line in registry.cc, one golden model in
// scripts/golden/make_model_golden.py.
#pragma once

#include <string>
#include <vector>

#include "formats/gguf.h"
#include "formats/json.h"
#include "model/spec.h"

namespace safesail {

enum class QkvLayout {
  separate,  ///< three tensors: q, k, v
  stacked,   ///< one tensor `qkv`: all queries, all keys, all values
  per_head,  ///< one tensor `qkv`: query, key and value of head 0, of head 1...
};

/// Names of modules; the tensors are `<name>.weight` and `<name>.bias`. "{}" stands for the layer.
/// An empty name: the family has no such module.
struct WeightMap {
  /// What may stand before every name but `heads`; the one under which the embedding is found
  /// holds.
  std::vector<std::string> prefixes{""};
  std::string embedding, positions, final_norm;
  std::vector<std::string> heads;  ///< the first that is found

  std::string attn_norm, attn_post_norm, mlp_norm, mlp_post_norm;
  QkvLayout qkv_layout = QkvLayout::separate;
  std::string q, k, v, qkv, q_norm, k_norm, attn_out;
  std::string gate, up, down;

  bool transposed = false;        ///< weights are [in, out] (GPT-2)
  bool paired_rope_rows = false;  ///< rows (2i, 2i + 1) of a query or key head turn together, not
                                  ///< (i, i + half)
  double norm_offset = 0;         ///< added to every norm weight: 1 where x * (1 + w) is meant
};

struct ModelPlan {
  ModelSpec spec;
  WeightMap map;
};

/// Both check what they made (check_spec) and throw an input error that lists the known families
/// when theirs is none of them.
ModelPlan plan_from_config(std::string_view config_json, const std::string& where);
ModelPlan plan_from_gguf(const GgufFile& file);

// ---- What the family files share.

/// Sizes, epsilon, positions and end tokens under the names that all but GPT-2 use.
ModelSpec read_common(const JsonObject& config);
/// The same from `<architecture>.*`, with GGUF's own tensor names.
ModelPlan read_common(const GgufFile& file);

/// A "<architecture>.key" of the file.
std::int64_t gguf_integer(const GgufFile& file, std::string_view key);
std::int64_t gguf_integer_or(const GgufFile& file, std::string_view key, std::int64_t otherwise);
double gguf_number_or(const GgufFile& file, std::string_view key, double otherwise);

/// One id or a list of them; none when the key is missing.
std::vector<std::int32_t> read_ids(const JsonObject& config, std::string_view key);
/// The activation under one of the names that configs use ("silu", "gelu_new", "gelu"...).
Activation read_activation(const JsonObject& config, std::string_view key, std::string otherwise);
/// The window of each layer, 0 for none: by `layer_types` where there is one, else
/// `is_windowed(layer)`.
std::vector<std::int32_t> read_windows(const JsonObject& config, std::int64_t n_layers,
                                       std::int64_t window, bool (*is_windowed)(std::int64_t));

/// Names of Llama and its descendants.
WeightMap llama_names();

/// One member a family; see registry.cc.
ModelPlan llama_from_config(const JsonObject& config);
ModelPlan mistral_from_config(const JsonObject& config);
ModelPlan llama_from_gguf(const GgufFile& file);
ModelPlan qwen2_from_config(const JsonObject& config);
ModelPlan qwen2_from_gguf(const GgufFile& file);
ModelPlan qwen3_from_config(const JsonObject& config);
ModelPlan qwen3_from_gguf(const GgufFile& file);
ModelPlan gemma2_from_config(const JsonObject& config);
ModelPlan gemma2_from_gguf(const GgufFile& file);
ModelPlan gemma3_from_config(const JsonObject& config);
ModelPlan gemma3_from_gguf(const GgufFile& file);
ModelPlan gpt_neox_from_config(const JsonObject& config);
ModelPlan gpt_neox_from_gguf(const GgufFile& file);
ModelPlan gpt2_from_config(const JsonObject& config);
ModelPlan gpt2_from_gguf(const GgufFile& file);

}  // namespace safesail
