#include "model/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <bit>

#include "base/cpu.h"
#include "base/error.h"
#include "base/round_up.h"
#include "model/dot_bf16.h"
#include "model/linear_cpu.h"

namespace safesail {
namespace {

/// Up to how many tokens the kernel of our own is the faster one, as measured with the matrices of
/// SmolLM2-135M: for one token of bf16 by half, and for f32 until well over these. bf16 that would
/// have to be widened is taken to be as f32.
std::int64_t few_tokens(at::ScalarType type) {
  return type == at::kBFloat16 && cpu_multiplies_bf16() ? 4 : 16;
}

void multiply_by_aten(const Linear& linear, const at::Tensor& x, at::Tensor& out) {
  if (linear.bias.defined())
    at::addmm_out(out, linear.bias, x, linear.weight.t());
  else
    at::mm_out(out, x, linear.weight.t());
}

/// Tokens that make it worth a thread's while to rearrange all weights for itself.
constexpr std::int64_t kTokensPerThread = 256;
/// oneDNN generates code for every number of rows it meets and keeps it, up to a megabyte each. So
/// it meets few: pieces of up to 512 in steps of 64, their rest padded to a sixteen, and fewer than
/// 128 padded by at most an eighth.
constexpr std::int64_t kPiece = 512, kStep = 64, kShort = 128, kPadding = 16;

void multiply_padded(const Linear& linear, const at::Tensor& x, std::int64_t rows,
                     at::Tensor& out) {
  const std::int64_t n = x.size(0);
  if (rows == n) return multiply_by_aten(linear, x, out);
  at::Tensor product = at::empty({rows, out.size(1)}, out.options());
  multiply_by_aten(linear, at::constant_pad_nd(x, {0, 0, 0, rows - n}), product);
  out.copy_(product.narrow(0, 0, n));
}

void multiply_in_pieces(const Linear& linear, const at::Tensor& x, at::Tensor& out) {
  const std::int64_t n = x.size(0);
  if (n < kShort) {
    const std::int64_t eighth = std::int64_t(std::bit_floor(std::uint64_t(n))) / 8;
    return multiply_padded(linear, x, round_up(n, std::max<std::int64_t>(1, eighth)), out);
  }
  for (std::int64_t first = 0, rows = 0; first < n; first += rows) {
    const std::int64_t left = n - first;
    rows = left < kStep ? left : std::min(kPiece, left / kStep * kStep);
    at::Tensor piece = out.narrow(0, first, rows);
    multiply_padded(linear, x.narrow(0, first, rows), round_up(rows, kPadding), piece);
  }
}

/// oneDNN shares one product unevenly (three to two among two threads, with the matrices of
/// SmolLM2-135M on AMX): of many tokens each thread multiplies a part, which takes a tenth less.
void multiply_bf16(const Linear& linear, const at::Tensor& x, at::Tensor& out) {
  const std::int64_t n = x.size(0), n_threads = at::get_num_threads();
  if (n < kTokensPerThread * n_threads) return multiply_in_pieces(linear, x, out);
  const std::int64_t part = round_up(n, kStep * n_threads) / n_threads;
  at::parallel_for(0, n_threads, 1, [&](std::int64_t begin, std::int64_t end) {
    const c10::InferenceMode inference;  // a thread's own
    const std::int64_t first = std::min(n, begin * part), last = std::min(n, end * part);
    at::Tensor piece = out.narrow(0, first, last - first);
    multiply_in_pieces(linear, x.narrow(0, first, last - first), piece);
  });
}

}  // namespace

void multiply_widened(const Linear& linear, const at::Tensor& x, at::Tensor& out) {
  constexpr std::int64_t kTile = 2048;  // outputs
  const at::Tensor wide = x.to(at::kFloat);
  for (std::int64_t first = 0; first < out.size(1); first += kTile) {
    const std::int64_t n = std::min(kTile, out.size(1) - first);
    at::Tensor product = at::mm(wide, linear.weight.narrow(0, first, n).to(at::kFloat).t());
    if (linear.bias.defined()) product.add_(linear.bias.narrow(0, first, n));
    out.narrow(1, first, n).copy_(product);
  }
}

void multiply(const Linear& linear, const at::Tensor& x, at::Tensor& out) {
  if (!x.is_cpu() || x.size(0) > few_tokens(x.scalar_type())) {
    const bool on_cpu_in_bf16 = x.is_cpu() && x.scalar_type() == at::kBFloat16;
    if (on_cpu_in_bf16 && !cpu_multiplies_bf16())
      multiply_widened(linear, x, out);
    else if (on_cpu_in_bf16)
      multiply_bf16(linear, x, out);
    else
      multiply_by_aten(linear, x, out);
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
