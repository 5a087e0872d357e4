// The attention kernel of the CPU: flash attention (online softmax over tiles of keys) with the
// heads of a group folded into the rows of one small matrix product.
//
// Elements are f32 or bf16 (as bits); sums and softmax are f32. bf16 products run on the CPU's own
// bf16 dot product where it has one.
#pragma once

#include <cstdint>

#include "model/attention.h"

namespace safesail::cpu {

struct Attention {
  bool bf16;
  bool use_bf16_dot;  ///< for bf16 only: multiply pairs where has_bf16_dot(), else as f32
  std::int64_t n_heads, n_kv_heads, head_dim;
  float scale, softcap;
  std::int32_t window;
  const void* q;  ///< row t, head h: q + t * q_stride + h * head_dim
  std::int64_t q_stride;
  void* out;
  std::int64_t out_stride;
};

/// Work for one thread at a time: one group of heads, some queries of one sequence.
struct AttentionBlock {
  const AttentionSpan* span;
  std::int64_t kv_head;
  std::int64_t first_query, n_queries;
};

/// How many queries a block should have at most.
std::int64_t attention_block_queries(const Attention& args);
void attend(const Attention& args, const AttentionBlock& block);

}  // namespace safesail::cpu
