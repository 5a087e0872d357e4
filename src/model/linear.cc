#include "model/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/error.h"
#include "model/dot_bf16.h"
#include "model/linear_cpu.h"

namespace safesail {
namespace {

/// Up to how many tokens the kernel of our own is the faster one, as measured with the matrices of
/// SmolLM2-135M: for one token of bf16 by half, and for f32 until well over these.
std::int64_t few_tokens(at::ScalarType type) {
  return type == at::kBFloat16 ? 4 : 16;
}

}  // namespace

void multiply(const Linear& linear, const at::Tensor& x, at::Tensor& out) {
  if (!x.is_cpu() || x.size(0) > few_tokens(x.scalar_type())) {
    if (linear.bias.defined())
      at::addmm_out(out, linear.bias, x, linear.weight.t());
    else
      at::mm_out(out, x, linear.weight.t());
    return;
  }
  SAFESAIL_CHECK(x.is_contiguous() && out.is_contiguous() && linear.weight.is_contiguous());
  const cpu::FewTokens args{.bf16 = x.scalar_type() == at::kBFloat16,
                            .use_bf16_dot = cpu::has_bf16_dot(),
                            .n_tokens = x.size(0),
                            .in = x.size(1),
                            .out = out.size(1),
                            .x = x.const_data_ptr(),
                            .weight = linear.weight.const_data_ptr(),
                            .bias = linear.bias.defined() ? linear.bias.const_data_ptr() : nullptr,
                            .result = out.mutable_data_ptr()};
  at::parallel_for(0, args.out, 64, [&](std::int64_t begin, std::int64_t end) {
    cpu::multiply_few(args, begin, end);
  });
}

}  // namespace safesail
