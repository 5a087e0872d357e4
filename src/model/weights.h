// The weights of a decoder, one copy in memory, in the shapes that its forward pass wants: queries,
// keys and values in one matrix, gate and up in one. Immutable after loading.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <vector>

namespace safesail {

struct Norm {
  at::Tensor weight, bias;  ///< [width] f32; bias only for layer norms
};

struct Linear {
  at::Tensor weight;  ///< [out, in]
  at::Tensor bias;    ///< [out] or undefined
};

struct LayerWeights {
  Norm attn_norm, attn_post_norm, mlp_norm, mlp_post_norm;
  Norm q_norm, k_norm;  ///< [head_dim]
  Linear qkv;           ///< rows: queries, keys, values
  Linear attn_out;
  Linear up;  ///< rows: gate, up; or only up
  Linear down;
};

struct Weights {
  at::Tensor embedding;  ///< [vocab, d_model]
  at::Tensor positions;  ///< [max_positions, d_model] or undefined
  std::vector<LayerWeights> layers;
  Norm final_norm;
  Linear head;

  std::uint64_t bytes = 0;
};

}  // namespace safesail
