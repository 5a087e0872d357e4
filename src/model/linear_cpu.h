// The matrix product for a few tokens on the CPU: every weight is read once, straight from memory.
#pragma once

#include <cstdint>

namespace safesail::cpu {

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

}  // namespace safesail::cpu
