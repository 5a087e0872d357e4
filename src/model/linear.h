// out = x W^T + b. Many tokens go to the tensor library's matrix product; a few, on the CPU, to a
// kernel of our own that streams the weights once: what decoding waits for is their bytes.
#pragma once

#include <cstdint>

#include "model/weights.h"

namespace safesail {

/// x [n_tokens, in] -> out [n_tokens, out], both contiguous, of the dtype of the weights.
void multiply(const Linear& linear, const at::Tensor& x, at::Tensor& out);

namespace cpu {

struct FewTokens {
  bool bf16;          ///< elements are bf16 (as bits), else f32; sums are f32
  bool use_bf16_dot;  ///< for bf16 only, where has_bf16_dot()
  std::int64_t n_tokens, in, out;
  const void* x;       ///< [n_tokens, in]
  const void* weight;  ///< [out, in]
  const void* bias;    ///< [out] or nullptr
  void* result;        ///< [n_tokens, out]
};
/// Outputs [begin, end); distinct ranges may run on several threads.
void multiply_few(const FewTokens& args, std::int64_t begin, std::int64_t end);

}  // namespace cpu
}  // namespace safesail
