// out = x W^T + b. Many tokens go to the tensor library's matrix product; a few, on the CPU, to a
// kernel of our own that streams the weights once: what decoding waits for is their bytes.
#pragma once

#include "model/weights.h"

namespace safesail {

/// x [n_tokens, in] -> out [n_tokens, out], both contiguous, of the dtype of the weights.
void multiply(const Linear& linear, const at::Tensor& x, at::Tensor& out);

/// The same of bf16 on a CPU without products of it, where the tensor library's own are a hundred
/// times slower than f32: the weights are widened a tile at a time. Sums are f32, results rounded
/// once.
void multiply_widened(const Linear& linear, const at::Tensor& x, at::Tensor& out);

}  // namespace safesail
