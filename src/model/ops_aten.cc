#include <ATen/ATen.h>

#include "model/ops.h"

namespace safesail::aten {
namespace {

at::Tensor normalised(NormKind kind, double eps, const Norm& weights, const at::Tensor& x) {
  at::Tensor v = x.to(at::kFloat);
  if (kind == NormKind::layer) v = v - v.mean(-1, true);
  v = v * (v.square().mean(-1, true) + eps).rsqrt() * weights.weight;
  return weights.bias.defined() ? v + weights.bias : v;
}

/// x [n_tokens, heads, head_dim] f32
at::Tensor turned(const at::Tensor& x, const RopeTable& table) {
  const std::int64_t half = table.cosine.size(1);
  const at::Tensor x1 = x.narrow(-1, 0, half), x2 = x.narrow(-1, half, half);
  const at::Tensor c = table.cosine.unsqueeze(1), s = table.sine.unsqueeze(1);
  return at::cat({x1 * c - x2 * s, x2 * c + x1 * s, x.narrow(-1, 2 * half, x.size(-1) - 2 * half)},
                 -1);
}

at::Tensor capped(const ModelSpec& spec, const at::Tensor& logits) {
  const at::Tensor v = logits.to(at::kFloat);
  return spec.final_softcap > 0 ? (v / spec.final_softcap).tanh() * spec.final_softcap : v;
}

}  // namespace

void add_norm(const ModelSpec& spec, const Norm& weights, at::Tensor& x, const at::Tensor* delta,
              at::Tensor& out) {
  if (delta != nullptr) x.add_(*delta);
  out.copy_(normalised(spec.norm, spec.norm_eps, weights, x));
}

void rotate(const ModelSpec& spec, const LayerWeights& weights, const RopeTable& table,
            at::Tensor& qkv) {
  const auto turn = [&](std::int64_t first, std::int64_t heads, const Norm& head_norm) {
    at::Tensor part = qkv.narrow(1, first, heads * spec.head_dim);
    at::Tensor x = part.unflatten(1, {heads, spec.head_dim}).to(at::kFloat);
    if (spec.qk_norm) x = normalised(NormKind::rms, spec.norm_eps, head_norm, x);
    part.copy_(turned(x, table).flatten(1));
  };
  turn(0, spec.n_heads, weights.q_norm);
  turn(spec.q_dim(), spec.n_kv_heads, weights.k_norm);
}

void gate(const ModelSpec& spec, const at::Tensor& gate_up, at::Tensor& out) {
  const auto halves = gate_up.to(at::kFloat).chunk(2, -1);
  const at::Tensor active =
      spec.activation == Activation::silu
          ? at::silu(halves[0])
          : at::gelu(halves[0], spec.activation == Activation::gelu ? "none" : "tanh");
  out.copy_(active * halves[1]);
}

void add_loss(const ModelSpec& spec, const at::Tensor& logits, const at::Tensor& targets,
              std::int64_t id, at::Tensor highest, at::Tensor sum, at::Tensor chosen) {
  const at::Tensor v = capped(spec, logits);
  const at::Tensor top = at::maximum(highest, v.amax(1));
  sum.mul_((highest - top).exp()).add_((v - top.unsqueeze(1)).exp().sum(1));
  highest.copy_(top);
  const at::Tensor column = targets.to(at::kLong) - id;
  const at::Tensor inside = column.ge(0).logical_and(column.lt(logits.size(1)));
  const at::Tensor found = v.gather(1, column.clamp(0, logits.size(1) - 1).unsqueeze(1)).squeeze(1);
  chosen.copy_(at::where(inside, found, chosen));
}

void add_gap(const ModelSpec& spec, const at::Tensor& clean, const at::Tensor& edited,
             at::Tensor highest, at::Tensor sum, at::Tensor gap) {
  const at::Tensor v = capped(spec, clean);
  const at::Tensor top = at::maximum(highest, v.amax(1));
  const at::Tensor rescale = (highest - top).exp(), weight = (v - top.unsqueeze(1)).exp();
  sum.mul_(rescale).add_(weight.sum(1));
  gap.mul_(rescale).add_((weight * (v - capped(spec, edited))).sum(1));
  highest.copy_(top);
}

}  // namespace safesail::aten
