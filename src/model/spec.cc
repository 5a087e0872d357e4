#include "model/spec.h"

#include <cmath>
#include <fmt/format.h>

#include "base/error.h"

namespace safesail {
namespace {

void check_finite(std::string_view where, std::string_view name, double value, bool positive) {
  if (!std::isfinite(value) || value < 0 || (positive && value == 0))
    bad_input(where,
              fmt::format("expected a {} number as {}, got {}",
                          positive ? "positive" : "non-negative", name, value),
              "check the configuration of the model");
}

void check_attention(const ModelSpec& spec, std::string_view where) {
  for (const Rope& rope : spec.ropes) {
    const auto rotary = 2 * static_cast<std::int64_t>(rope.inv_freq.size());
    if (rotary < 2 || rotary > spec.head_dim)
      bad_input(where,
                fmt::format("expected 2 to {} rotary dimensions, got {}", spec.head_dim, rotary),
                "check the rotary settings against head_dim");
    for (const float frequency : rope.inv_freq)
      check_finite(where, "a rotary frequency", frequency, false);
  }
  if (static_cast<std::int64_t>(spec.attention.size()) != spec.n_layers)
    bad_input(where,
              fmt::format("expected the attention kind of {} layers, got {}", spec.n_layers,
                          spec.attention.size()),
              "check layer_types");
  const auto n_ropes = static_cast<int>(spec.ropes.size());
  for (const LayerAttention& layer : spec.attention) {
    if (layer.mask == Mask::sliding ? layer.window < 1 : layer.window != 0)
      bad_input(where, fmt::format("expected a sliding window of at least 1, got {}", layer.window),
                "check sliding_window");
    // A layer that does not turn says so: a family that forgot its rotation is found here.
    SAFESAIL_CHECK(layer.rope == LayerAttention::kNoRope ||
                   (layer.rope >= 0 && layer.rope < n_ropes));
  }
}

}  // namespace

std::int64_t require_size(std::string_view where, std::string_view name, std::int64_t size,
                          std::int64_t highest) {
  if (size < 1 || size > highest)
    bad_input(where, fmt::format("expected {} from 1 to {}, got {}", name, highest, size),
              "check that the file is complete and belongs to a language model");
  return size;
}

void check_spec(const ModelSpec& spec, std::string_view where) {
  require_size(where, "the number of layers", spec.n_layers, kMaxLayers);
  require_size(where, "the hidden size", spec.d_model, kMaxWidth);
  require_size(where, "the MLP width", spec.d_ff, kMaxWidth);
  require_size(where, "the vocabulary size", spec.vocab_size, kMaxVocab);
  require_size(where, "the number of attention heads", spec.n_heads, kMaxHeads);
  require_size(where, "the number of key-value heads", spec.n_kv_heads, spec.n_heads);
  require_size(where, "the head size", spec.head_dim, kMaxHeadDim);
  if (spec.n_heads % spec.n_kv_heads != 0)
    bad_input(where,
              fmt::format("expected a number of attention heads that the key-value heads divide, "
                          "got {} and {}",
                          spec.n_heads, spec.n_kv_heads),
              "check num_attention_heads and num_key_value_heads");
  check_finite(where, "the norm epsilon", spec.norm_eps, false);
  check_finite(where, "the attention scale", spec.attention_scale, true);
  check_finite(where, "the attention soft cap", spec.attention_softcap, false);
  check_finite(where, "the final soft cap", spec.final_softcap, false);
  check_finite(where, "the embedding scale", spec.embedding_scale, true);
  if (spec.learned_positions)
    require_size(where, "the number of positions", spec.max_positions, kMaxVocab);
  check_attention(spec, where);
  SAFESAIL_CHECK(!spec.modules.layer.empty());
}

}  // namespace safesail
