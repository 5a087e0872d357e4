#include "model/ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "model/ops_cpu.h"

namespace safesail {
namespace {

/// Rows for which a thread is worth waking.
std::int64_t grain(std::int64_t elements_per_row) {
  return std::max<std::int64_t>(1, 8192 / elements_per_row);
}

bool is_bf16(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16;
}

const float* data_or_null(const at::Tensor& x) {
  return x.defined() ? x.const_data_ptr<float>() : nullptr;
}

void norm_on_cpu(const ModelSpec& spec, const Norm& weights, const at::Tensor& x,
                 const at::Tensor* delta, at::Tensor& out) {
  SAFESAIL_CHECK(x.is_contiguous() && out.is_contiguous() &&
                 (delta == nullptr || delta->is_contiguous()));
  const cpu::NormRows args{.bf16 = is_bf16(x),
                           .kind = spec.norm,
                           .eps = static_cast<float>(spec.norm_eps),
                           .width = x.size(1),
                           .x = const_cast<void*>(x.const_data_ptr()),
                           .delta = delta == nullptr ? nullptr : delta->const_data_ptr(),
                           .weight = weights.weight.const_data_ptr<float>(),
                           .bias = data_or_null(weights.bias),
                           .out = out.mutable_data_ptr()};
  at::parallel_for(0, x.size(0), grain(args.width),
                   [&](std::int64_t begin, std::int64_t end) { cpu::norm_rows(args, begin, end); });
}

}  // namespace

RopeTable rope_table(const Rope& rope, const at::Tensor& positions) {
  const auto options = positions.options().dtype(at::kFloat);
  const at::Tensor frequencies =
      at::tensor(at::ArrayRef<float>(rope.inv_freq), at::kFloat).to(options.device());
  const at::Tensor angle = at::outer(positions.to(at::kFloat), frequencies);
  return {angle.cos(), angle.sin()};
}

void norm(const ModelSpec& spec, const Norm& weights, const at::Tensor& x, at::Tensor& out) {
  if (x.is_cpu()) return norm_on_cpu(spec, weights, x, nullptr, out);
  at::Tensor same = x;
  aten::add_norm(spec, weights, same, nullptr, out);
}

void add_norm(const ModelSpec& spec, const Norm& weights, at::Tensor& x, const at::Tensor& delta,
              at::Tensor& out) {
  if (x.is_cpu()) return norm_on_cpu(spec, weights, x, &delta, out);
  aten::add_norm(spec, weights, x, &delta, out);
}

void rotate(const ModelSpec& spec, const LayerWeights& weights, const RopeTable& table,
            at::Tensor& qkv) {
  if (table.cosine.size(1) == 0 && !spec.qk_norm) return;
  if (!qkv.is_cpu()) return aten::rotate(spec, weights, table, qkv);
  const cpu::RotateRows args{.bf16 = is_bf16(qkv),
                             .stride = qkv.stride(0),
                             .n_heads = spec.n_heads,
                             .n_kv_heads = spec.n_kv_heads,
                             .head_dim = spec.head_dim,
                             .half = table.cosine.size(1),
                             .qkv = qkv.mutable_data_ptr(),
                             .cosine = table.cosine.const_data_ptr<float>(),
                             .sine = table.sine.const_data_ptr<float>(),
                             .q_norm = data_or_null(weights.q_norm.weight),
                             .k_norm = data_or_null(weights.k_norm.weight),
                             .eps = static_cast<float>(spec.norm_eps)};
  at::parallel_for(
      0, qkv.size(0), grain(spec.qkv_dim()),
      [&](std::int64_t begin, std::int64_t end) { cpu::rotate_rows(args, begin, end); });
}

void gate(const ModelSpec& spec, const at::Tensor& gate_up, at::Tensor& out) {
  // The exact GELU has no kernel of its own here: no gated family uses it.
  if (!gate_up.is_cpu() || spec.activation == Activation::gelu)
    return aten::gate(spec, gate_up, out);
  SAFESAIL_CHECK(gate_up.is_contiguous() && out.is_contiguous());
  const cpu::GateRows args{.bf16 = is_bf16(out),
                           .activation = spec.activation,
                           .width = out.size(1),
                           .gate_up = gate_up.const_data_ptr(),
                           .out = out.mutable_data_ptr()};
  at::parallel_for(0, out.size(0), grain(args.width),
                   [&](std::int64_t begin, std::int64_t end) { cpu::gate_rows(args, begin, end); });
}

void activate(const ModelSpec& spec, at::Tensor& x) {
  if (spec.activation == Activation::silu)
    at::silu_(x);
  else
    at::gelu_(x, spec.activation == Activation::gelu ? "none" : "tanh");
}

namespace {

at::Tensor lowest_like(const at::Tensor& rows) {
  return at::full_like(rows, -std::numeric_limits<float>::infinity(), at::kFloat);
}
at::Tensor zeros_of(const at::Tensor& rows) {
  return at::zeros_like(rows, at::kFloat);
}

}  // namespace

RunningLoss::RunningLoss(const at::Tensor& targets)
    : targets_(targets.contiguous()),
      highest_(lowest_like(targets)),
      sum_(zeros_of(targets)),
      chosen_(zeros_of(targets)) {}

void RunningLoss::add(const ModelSpec& spec, const at::Tensor& logits, std::int64_t row,
                      std::int64_t id) {
  const std::int64_t n = logits.size(0);
  if (!logits.is_cpu())
    return aten::add_loss(spec, logits, targets_.narrow(0, row, n), id, highest_.narrow(0, row, n),
                          sum_.narrow(0, row, n), chosen_.narrow(0, row, n));
  SAFESAIL_CHECK(logits.is_contiguous());
  const cpu::LossRows args{.bf16 = is_bf16(logits),
                           .width = logits.size(1),
                           .first_id = id,
                           .softcap = static_cast<float>(spec.final_softcap),
                           .logits = logits.const_data_ptr(),
                           .targets = targets_.const_data_ptr<std::int32_t>() + row,
                           .highest = highest_.mutable_data_ptr<float>() + row,
                           .sum = sum_.mutable_data_ptr<float>() + row,
                           .chosen = chosen_.mutable_data_ptr<float>() + row};
  at::parallel_for(0, n, 1,
                   [&](std::int64_t begin, std::int64_t end) { cpu::loss_rows(args, begin, end); });
}

at::Tensor RunningLoss::finish() const {
  return (sum_.log() + highest_ - chosen_).masked_fill_(targets_.lt(0), 0);
}

RunningDivergence::RunningDivergence(const at::Tensor& targets)
    : targets_(targets.contiguous()),
      highest_(lowest_like(targets)),
      sum_(zeros_of(targets)),
      gap_(zeros_of(targets)),
      edited_highest_(lowest_like(targets)),
      edited_sum_(zeros_of(targets)),
      edited_chosen_(zeros_of(targets)) {}

void RunningDivergence::add(const ModelSpec& spec, const at::Tensor& clean,
                            const at::Tensor& change, std::int64_t row, std::int64_t id) {
  const std::int64_t n = clean.size(0);
  if (!clean.is_cpu()) {
    const at::Tensor edited = clean.to(at::kFloat) + change;
    aten::add_gap(spec, clean, edited, highest_.narrow(0, row, n), sum_.narrow(0, row, n),
                  gap_.narrow(0, row, n));
    return aten::add_loss(spec, edited, targets_.narrow(0, row, n), id,
                          edited_highest_.narrow(0, row, n), edited_sum_.narrow(0, row, n),
                          edited_chosen_.narrow(0, row, n));
  }
  SAFESAIL_CHECK(clean.is_contiguous() && change.is_contiguous() &&
                 clean.sizes() == change.sizes());
  const auto of = [row](at::Tensor& state) { return state.mutable_data_ptr<float>() + row; };
  const cpu::DivergenceRows args{.bf16 = is_bf16(clean),
                                 .width = clean.size(1),
                                 .first_id = id,
                                 .softcap = static_cast<float>(spec.final_softcap),
                                 .clean = clean.const_data_ptr(),
                                 .change = change.const_data_ptr(),
                                 .targets = targets_.const_data_ptr<std::int32_t>() + row,
                                 .highest = of(highest_),
                                 .sum = of(sum_),
                                 .gap = of(gap_),
                                 .edited_highest = of(edited_highest_),
                                 .edited_sum = of(edited_sum_),
                                 .edited_chosen = of(edited_chosen_)};
  at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
    cpu::divergence_rows(args, begin, end);
  });
}

at::Tensor RunningDivergence::kl() const {
  const at::Tensor clean = sum_.log() + highest_, edited = edited_sum_.log() + edited_highest_;
  // Never below 0 but for rounding.
  return (gap_ / sum_ - clean + edited).clamp_min_(0).masked_fill_(targets_.lt(0), 0);
}

at::Tensor RunningDivergence::edited_loss() const {
  return (edited_sum_.log() + edited_highest_ - edited_chosen_).masked_fill_(targets_.lt(0), 0);
}

}  // namespace safesail
