#include "model/spec.h"

#include <cmath>
#include <fmt/format.h>

#include "base/error.h"

namespace safesail {
namespace {

// Far above every model there is, and small enough that no product of three overflows 64 bits.
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;

void check_range(std::string_view where, std::string_view name, std::int64_t value,
                 std::int64_t highest) {
  if (value < 1 || value > highest)
    bad_input(where, fmt::format("expected {} from 1 to {}, got {}", name, highest, value),
              "check that the file is complete and belongs to a language model");
}

void check_finite(std::string_view where, std::string_view name, double value, bool positive) {
  if (!std::isfinite(value) || value < 0 || (positive && value == 0))
    bad_input(where,
              fmt::format("expected a {} number as {}, got {}",
                          positive ? "positive" : "non-negative", name, value),
              "check the configuration of the model");
}

}  // namespace

void check_spec(const ModelSpec& spec, std::string_view where) {
  check_range(where, "the number of layers", spec.n_layers, kMaxLayers);
  check_range(where, "the hidden size", spec.d_model, kMaxWidth);
  check_range(where, "the MLP width", spec.d_ff, kMaxWidth);
  check_range(where, "the vocabulary size", spec.vocab_size, kMaxVocab);
  check_range(where, "the number of attention heads", spec.n_heads, 4096);
  check_range(where, "the number of key-value heads", spec.n_kv_heads, spec.n_heads);
  check_range(where, "the head size", spec.head_dim, 4096);
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
    check_range(where, "the number of positions", spec.max_positions, kMaxVocab);
  for (const Rope* rope : {&spec.rope, &spec.rope_windowed}) {
    const auto rotary = 2 * static_cast<std::int64_t>(rope->inv_freq.size());
    if (rotary > spec.head_dim)
      bad_input(where,
                fmt::format("expected at most {} rotary dimensions, got {}", spec.head_dim, rotary),
                "check the rotary settings against head_dim");
    for (float frequency : rope->inv_freq)
      check_finite(where, "a rotary frequency", frequency, false);
  }
  if (static_cast<std::int64_t>(spec.window.size()) != spec.n_layers)
    bad_input(where,
              fmt::format("expected the attention kind of {} layers, got {}", spec.n_layers,
                          spec.window.size()),
              "check layer_types");
  for (std::int32_t window : spec.window)
    if (window < 0)
      bad_input(where, fmt::format("expected a sliding window of at least 1, got {}", window),
                "check sliding_window");
}

}  // namespace safesail
