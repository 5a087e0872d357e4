#include "model/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "base/error.h"
#include "model/attention_cpu.h"
#include "model/dot_bf16.h"

namespace safesail {
namespace {

void attention_on_cpu(const ModelSpec& spec, std::int32_t window, const at::Tensor& qkv,
                      std::span<const AttentionSpan> spans, at::Tensor& out) {
  const cpu::Attention args{.bf16 = qkv.scalar_type() == at::kBFloat16,
                            .use_bf16_dot = cpu::has_bf16_dot(),
                            .n_heads = spec.n_heads,
                            .n_kv_heads = spec.n_kv_heads,
                            .head_dim = spec.head_dim,
                            .scale = static_cast<float>(spec.attention_scale),
                            .softcap = static_cast<float>(spec.attention_softcap),
                            .window = window,
                            .q = qkv.const_data_ptr(),
                            .q_stride = qkv.stride(0),
                            .out = out.mutable_data_ptr(),
                            .out_stride = out.stride(0)};
  const std::int64_t most = cpu::attention_block_queries(args);
  std::vector<cpu::AttentionBlock> blocks;
  for (const AttentionSpan& span : spans)
    for (std::int64_t head = 0; head < spec.n_kv_heads; ++head)
      for (std::int64_t first = 0; first < span.n_queries; first += most)
        blocks.push_back({&span, head, first, std::min(most, span.n_queries - first)});

  // Blocks differ in cost, so threads take them one by one; each writes its own part of `out`.
  std::atomic<std::size_t> next = 0;
  at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t turn = begin; turn < end; ++turn)
      for (std::size_t i = next++; i < blocks.size(); i = next++) cpu::attend(args, blocks[i]);
  });
}

/// [n_keys, kv_dim] of a span as [1, kv_heads, n_keys, head_dim]
at::Tensor heads_of(const ModelSpec& spec, const AttentionSpan& span, const void* data,
                    const at::Tensor& like) {
  return at::from_blob(const_cast<void*>(data), {span.n_keys, spec.n_kv_heads, spec.head_dim},
                       {span.kv_stride, spec.head_dim, 1}, like.options())
      .transpose(0, 1)
      .unsqueeze(0);
}

}  // namespace

void attention(const ModelSpec& spec, std::int32_t window, const at::Tensor& qkv,
               std::span<const AttentionSpan> spans, at::Tensor& out) {
  SAFESAIL_CHECK(qkv.stride(1) == 1 && out.stride(1) == 1);
  if (qkv.is_cpu()) return attention_on_cpu(spec, window, qkv, spans, out);
  aten::attention(spec, window, qkv, spans, out);
}

void aten::attention(const ModelSpec& spec, std::int32_t window, const at::Tensor& qkv,
                     std::span<const AttentionSpan> spans, at::Tensor& out) {
  const std::int64_t group = spec.n_heads / spec.n_kv_heads;
  for (const AttentionSpan& span : spans) {
    const at::Tensor q = qkv.narrow(0, span.first_row, span.n_queries)
                             .narrow(1, 0, spec.q_dim())
                             .unflatten(1, {spec.n_heads, spec.head_dim})
                             .transpose(0, 1)
                             .unsqueeze(0);
    const at::Tensor k = heads_of(spec, span, span.k, qkv).repeat_interleave(group, 1);
    const at::Tensor v = heads_of(spec, span, span.v, qkv).repeat_interleave(group, 1);
    const bool causal_only =
        (window == 0 || window >= span.n_keys) && span.n_queries == span.n_keys;
    at::Tensor result;
    if (spec.attention_softcap == 0 && causal_only) {
      result =
          at::scaled_dot_product_attention(q, k, v, std::nullopt, 0.0, true, spec.attention_scale);
    } else {
      const auto options = qkv.options().dtype(at::kLong);
      const at::Tensor query =
          at::arange(span.n_keys - span.n_queries, span.n_keys, options).unsqueeze(1);
      const at::Tensor key = at::arange(span.n_keys, options).unsqueeze(0);
      at::Tensor hidden = key > query;
      if (window > 0) hidden = hidden.logical_or(key <= query - window);
      at::Tensor s =
          at::matmul(q.to(at::kFloat), k.to(at::kFloat).transpose(2, 3)) * spec.attention_scale;
      if (spec.attention_softcap > 0)
        s = (s / spec.attention_softcap).tanh() * spec.attention_softcap;
      s.masked_fill_(hidden, -std::numeric_limits<float>::infinity());
      result = at::matmul(s.softmax(-1).to(qkv.scalar_type()), v);
    }
    out.narrow(0, span.first_row, span.n_queries)
        .copy_(result.squeeze(0).transpose(0, 1).flatten(1));
  }
}

}  // namespace safesail
