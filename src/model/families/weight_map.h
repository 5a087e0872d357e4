// Where the weights of a model lie in its file.
#pragma once

#include <string>
#include <vector>

#include "model/spec.h"

namespace safesail {

enum class QkvLayout {
  separate,  ///< three tensors: q, k, v
  stacked,   ///< one tensor `qkv`: all queries, all keys, all values
  per_head,  ///< one tensor `qkv`: query, key and value of head 0, of head 1...
};

/// Whether a module has a bias.
enum class Bias {
  none,
  if_stored,  ///< each that the file holds, layer by layer, as llama.cpp reads them
  always,
};

/// Names of modules; the tensors are `<name>.weight` and `<name>.bias`. "{}" stands for the layer.
/// An empty name: the family has no such module.
struct WeightMap {
  /// What may stand before every name but `heads`; the one under which the embedding is found
  /// holds.
  std::vector<std::string> prefixes{""};
  std::string embedding, positions, final_norm;
  /// The first that is found is the head. None is: the head is the embedding, where
  /// ModelSpec::tied_head allows it.
  std::vector<std::string> heads;

  std::string attn_norm, attn_post_norm, mlp_norm, mlp_post_norm;
  QkvLayout qkv_layout = QkvLayout::separate;
  std::string q, k, v, qkv, q_norm, k_norm, attn_out;
  std::string gate, up, down;
  Bias qkv_bias = Bias::none, attn_out_bias = Bias::none, mlp_bias = Bias::none;
  /// Tensors that do not take part in the pass; "*" stands for anything. Any other that is left
  /// over is an error.
  std::vector<std::string> unused;

  bool transposed = false;        ///< weights are [in, out] (GPT-2)
  bool paired_rope_rows = false;  ///< rows (2i, 2i + 1) of a query or key head turn together, not
                                  ///< (i, i + half)
  double norm_offset = 0;         ///< added to every norm weight: 1 where x * (1 + w) is meant

  /// Of a map of Hugging Face's names.
  ModuleNames modules() const;
  bool operator==(const WeightMap&) const = default;
};

/// Hugging Face's names of Llama and its descendants.
WeightMap llama_names();

}  // namespace safesail
