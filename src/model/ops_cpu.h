// The row kernels of the forward pass on the CPU, one source for every instruction set, chosen at
// run time. Each works on rows [begin, end) and may run on several threads with distinct rows.
// Elements are f32 or bf16 (as bits), arithmetic is f32, results are rounded once.
#pragma once

#include <cstdint>

#include "model/spec.h"

namespace safesail::cpu {

struct NormRows {
  bool bf16;
  NormKind kind;
  float eps;
  std::int64_t width;
  void* x;            ///< [rows, width]; written when `delta` is given
  const void* delta;  ///< added to x first; may be nullptr
  const float* weight;
  const float* bias;  ///< layer norms only
  void* out;
};
void norm_rows(const NormRows& args, std::int64_t begin, std::int64_t end);

struct RotateRows {
  bool bf16;
  std::int64_t stride;  ///< elements from one token to the next
  std::int64_t n_heads, n_kv_heads, head_dim;
  std::int64_t half;    ///< rotated pairs of a head: (i, i + half); 0: none
  void* qkv;            ///< queries, then keys, then what is left alone
  const float* cosine;  ///< [rows, half]
  const float* sine;    ///< [rows, half]
  const float* q_norm;  ///< [head_dim]: RMS norm before the rotation; may be nullptr
  const float* k_norm;
  float eps;
};
void rotate_rows(const RotateRows& args, std::int64_t begin, std::int64_t end);

struct GateRows {
  bool bf16;
  Activation activation;  ///< silu or gelu_tanh
  std::int64_t width;
  const void* gate_up;  ///< [rows, 2 * width]: gate, up
  void* out;            ///< [rows, width]
};
void gate_rows(const GateRows& args, std::int64_t begin, std::int64_t end);

struct LossRows {
  bool bf16;
  std::int64_t width;
  std::int64_t first_id;  ///< token of column 0
  float softcap;          ///< 0: none
  const void* logits;     ///< [rows, width]
  const std::int32_t* targets;
  float* highest;  ///< highest logit so far
  float* sum;      ///< of exp(logit - highest)
  float* chosen;   ///< the target's logit, once met
};
/// Adds `width` more logits to each row's running softmax. Rows with a negative target are left
/// out.
void loss_rows(const LossRows& args, std::int64_t begin, std::int64_t end);

struct DivergenceRows {
  bool bf16;
  std::int64_t width;
  std::int64_t first_id;  ///< token of column 0
  float softcap;          ///< 0: none
  const void* clean;      ///< [rows, width] logits
  const void* change;     ///< [rows, width] edited minus clean logits
  const std::int32_t* targets;
  float *highest, *sum;  ///< clean: highest logit so far, sum of exp(logit - highest)
  float* gap;            ///< sum of exp(clean - highest) (clean - edited)
  float *edited_highest, *edited_sum, *edited_chosen;  ///< as in LossRows
};
/// Adds `width` more columns to each row's running divergence. Rows with a negative target are left
/// out.
void divergence_rows(const DivergenceRows& args, std::int64_t begin, std::int64_t end);

}  // namespace safesail::cpu
