// The operations of the forward pass that are not plain matrix products. On the CPU each is one
// parallel loop over rows with f32 arithmetic inside (ops_cpu.cc); elsewhere, and in the tests as
// the truth, a chain of ATen operations (ops_aten.cc). Outputs are given by the caller, so that a
// pass reuses its buffers.
#pragma once

#include <cstdint>
#include <span>

#include "model/spec.h"
#include "model/weights.h"

namespace safesail {

/// Per token [n_tokens, pairs] f32; no columns: no rotation.
struct RopeTable {
  at::Tensor cosine, sine;
};
RopeTable rope_table(const Rope& rope, const at::Tensor& positions);

/// out = norm(x); `out` has the shape and dtype of x.
void norm(const ModelSpec& spec, const Norm& weights, const at::Tensor& x, at::Tensor& out);
/// x += delta, rounded; out = norm(x).
void add_norm(const ModelSpec& spec, const Norm& weights, at::Tensor& x, const at::Tensor& delta,
              at::Tensor& out);
/// Queries and keys of qkv [n_tokens, qkv_dim]: RMS norm of each head where the model has one, then
/// rotation. In place.
void rotate(const ModelSpec& spec, const LayerWeights& weights, const RopeTable& table,
            at::Tensor& qkv);
/// out = act(gate) * up, with gate_up [n_tokens, 2 d_ff].
void gate(const ModelSpec& spec, const at::Tensor& gate_up, at::Tensor& out);
/// x = act(x), in place.
void activate(const ModelSpec& spec, at::Tensor& x);
/// -log softmax(cap(logits))[target] of each row, from logits that come a piece at a time.
class RunningLoss {
 public:
  /// `targets` [n] int32; negative: the loss is 0.
  explicit RunningLoss(const at::Tensor& targets);
  /// Logits [m, k], before the soft cap, of rows from `row` on and ids from `id` on.
  void add(const ModelSpec& spec, const at::Tensor& logits, std::int64_t row, std::int64_t id);
  /// [n] f32
  at::Tensor finish() const;

 private:
  at::Tensor targets_;
  at::Tensor highest_, sum_, chosen_;  ///< [n] f32: highest logit, sum of exp(logit - it), target's
};

/// How far an edit moves the prediction, KL(softmax(cap(clean)) || softmax(cap(edited))) of each
/// row, and the edited loss, from pieces of the clean logits and of their change. Taking the
/// change, not the edited logits, keeps bf16's rounding of large logits out of a small divergence.
class RunningDivergence {
 public:
  /// As in RunningLoss.
  explicit RunningDivergence(const at::Tensor& targets);
  /// Both [m, k], before the soft cap.
  void add(const ModelSpec& spec, const at::Tensor& clean, const at::Tensor& change,
           std::int64_t row, std::int64_t id);
  /// [n] f32, 0 where the target is negative.
  at::Tensor kl() const;
  at::Tensor edited_loss() const;

 private:
  at::Tensor targets_;
  /// [n] f32. With p = softmax(clean): KL = E_p[clean - edited] - lse(clean) + lse(edited).
  at::Tensor highest_, sum_, gap_, edited_highest_, edited_sum_, edited_chosen_;
};

namespace aten {

void add_norm(const ModelSpec& spec, const Norm& weights, at::Tensor& x, const at::Tensor* delta,
              at::Tensor& out);
void rotate(const ModelSpec& spec, const LayerWeights& weights, const RopeTable& table,
            at::Tensor& qkv);
void gate(const ModelSpec& spec, const at::Tensor& gate_up, at::Tensor& out);
/// One step of RunningLoss.
void add_loss(const ModelSpec& spec, const at::Tensor& logits, const at::Tensor& targets,
              std::int64_t id, at::Tensor highest, at::Tensor sum, at::Tensor chosen);
/// One step of RunningDivergence for its clean side; the edited side is a step of RunningLoss.
void add_gap(const ModelSpec& spec, const at::Tensor& clean, const at::Tensor& edited,
             at::Tensor highest, at::Tensor sum, at::Tensor gap);

}  // namespace aten
}  // namespace safesail
