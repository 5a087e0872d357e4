// Causal attention of packed sequences: grouped heads, sliding windows, soft caps, cached keys.
// Documents never see each other, and nothing is padded.
#pragma once

#include <cstdint>
#include <span>

#include "model/spec.h"

namespace at {
class Tensor;
}

namespace safesail {

/// One sequence of a packed batch: its last `n_queries` of `n_keys` tokens are the rows
/// [first_row, first_row + n_queries) of the batch.
struct AttentionSpan {
  std::int64_t first_row, n_queries, n_keys;
  /// [n_keys, kv_dim] each, rows `kv_stride` elements apart: in the batch itself or in a cache.
  const void* k;
  const void* v;
  std::int64_t kv_stride;
};

/// out [n_tokens, q_dim]; qkv [n_tokens, qkv_dim], rotated. `window`: keys a query sees, itself
/// included; 0: all.
void attention(const ModelSpec& spec, std::int32_t window, const at::Tensor& qkv,
               std::span<const AttentionSpan> spans, at::Tensor& out);

namespace aten {
/// The same by ATen's operations, on any device; the truth of the tests.
void attention(const ModelSpec& spec, std::int32_t window, const at::Tensor& qkv,
               std::span<const AttentionSpan> spans, at::Tensor& out);
}  // namespace aten

}  // namespace safesail
