// From the final hidden states to logits and losses; losses take a tile of tokens and of the
// vocabulary at a time and never hold logits beyond it.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <span>
#include <vector>

#include "model/spec.h"
#include "model/weights.h"

namespace safesail {

/// [n, vocab] after the soft cap, in the dtype of `hidden` [n, d_model].
at::Tensor logits_of(const ModelSpec& spec, const Linear& head, const at::Tensor& hidden);

/// -log p(target) of each row in nats, [n] f32; 0 where the target is negative. `targets` [n] int32
/// on the device of `hidden`.
at::Tensor losses_of(const ModelSpec& spec, const Linear& head, const at::Tensor& hidden,
                     const at::Tensor& targets);

/// What edits do to the predictions; [n] f32 each, as in losses_of.
struct HeadChange {
  at::Tensor loss;  ///< of the edited prediction
  at::Tensor kl;    ///< KL(clean || edited) in nats
};
struct HeadChanges {
  at::Tensor clean_loss;
  std::vector<HeadChange> edited;
};
/// `clean` and each of `edited` are hidden states [n, d_model] of the same tokens; every tile of
/// clean logits is made once for all of them.
HeadChanges changes_of(const ModelSpec& spec, const Linear& head, const at::Tensor& clean,
                       std::span<const at::Tensor> edited, const at::Tensor& targets);

/// Bytes that each holds at its highest besides its result.
std::uint64_t head_bytes(std::int64_t n_tokens, std::int64_t bytes_per_value);

}  // namespace safesail
