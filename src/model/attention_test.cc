// The CPU's attention kernel against ATen's operations: lengths around the tiles, odd heads,
// groups, windows, caps, cached keys.
#include "model/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/attention_cpu.h"
#include "model/golden_testing.h"
#include "model/instruction_sets_testing.h"

namespace safesail {
namespace {

using testing::expect_close;

struct Case {
  std::int64_t heads, kv_heads, head_dim;
  std::int32_t window;
  double softcap;
};

class Attention : public ::testing::TestWithParam<std::tuple<Case, at::ScalarType>> {};

/// Spans over `keys` [total keys, 2 kv_dim], as a cache lays them out; queries are the last ones.
TEST_P(Attention, AsAten) {
  const auto& [shape, type] = GetParam();
  at::manual_seed(1);
  ModelSpec spec;
  spec.n_heads = shape.heads;
  spec.n_kv_heads = shape.kv_heads;
  spec.head_dim = shape.head_dim;
  spec.attention_scale = 1.5 / std::sqrt(static_cast<double>(shape.head_dim));
  spec.attention_softcap = shape.softcap;

  struct Length {
    std::int64_t queries, keys;
  };
  const std::vector<Length> lengths{{1, 1},   {7, 7},     {64, 64}, {65, 65}, {1, 70},
                                    {3, 129}, {200, 200}, {17, 80}, {2, 2}};
  std::int64_t n = 0, n_keys = 0;
  for (const Length& length : lengths) n += length.queries, n_keys += length.keys;
  const at::Tensor qkv = at::randn({n, spec.qkv_dim()}).to(type);
  const at::Tensor keys = at::randn({n_keys, 2 * spec.kv_dim()}).to(type);
  std::vector<AttentionSpan> spans;
  std::int64_t row = 0, key = 0;
  for (const Length& length : lengths) {
    const auto* k = static_cast<const std::byte*>(keys.const_data_ptr()) +
                    static_cast<std::size_t>(key * 2 * spec.kv_dim()) * keys.element_size();
    spans.push_back({row, length.queries, length.keys, k,
                     k + static_cast<std::size_t>(spec.kv_dim()) * keys.element_size(),
                     2 * spec.kv_dim()});
    row += length.queries;
    key += length.keys;
  }
  // The truth in f32 from the same (rounded) inputs.
  const at::Tensor qkv_f32 = qkv.to(at::kFloat), keys_f32 = keys.to(at::kFloat);
  std::vector<AttentionSpan> spans_f32 = spans;
  for (AttentionSpan& span : spans_f32) {
    const std::ptrdiff_t element = (static_cast<const std::byte*>(span.k) -
                                    static_cast<const std::byte*>(keys.const_data_ptr())) /
                                   static_cast<std::ptrdiff_t>(keys.element_size());
    span.k = keys_f32.const_data_ptr<float>() + element;
    span.v = keys_f32.const_data_ptr<float>() + element + spec.kv_dim();
  }
  at::Tensor out = at::full({n, spec.q_dim()}, 99, type), expected = at::empty({n, spec.q_dim()});
  aten::attention(spec, shape.window, qkv_f32, spans_f32, expected);
  // f32: sums of up to 200 products and exps good to a few ulp. bf16: the weights and the result
  // are rounded, 2^-9 of an element each; elements reach some five rms.
  const double tolerance = type == at::kFloat ? 2e-5 : 0.03;
  testing::on_each_instruction_set([&, type = type, shape = shape] {
    out.fill_(99);
    attention(spec, shape.window, qkv, spans, out);
    expect_close(out, expected, tolerance, "attention");
    if (type == at::kFloat) return;
    // bf16 on a CPU that cannot multiply it.
    out.fill_(99);
    const cpu::Attention args{.bf16 = true,
                              .use_bf16_dot = false,
                              .n_heads = spec.n_heads,
                              .n_kv_heads = spec.n_kv_heads,
                              .head_dim = spec.head_dim,
                              .scale = static_cast<float>(spec.attention_scale),
                              .softcap = static_cast<float>(spec.attention_softcap),
                              .window = shape.window,
                              .q = qkv.const_data_ptr(),
                              .q_stride = qkv.stride(0),
                              .out = out.mutable_data_ptr(),
                              .out_stride = out.stride(0)};
    for (const AttentionSpan& span : spans)
      for (std::int64_t head = 0; head < spec.n_kv_heads; ++head)
        for (std::int64_t first = 0; first < span.n_queries; first += 10)
          cpu::attend(args,
                      {&span, head, first, std::min<std::int64_t>(10, span.n_queries - first)});
    expect_close(out, expected, tolerance, "attention in f32");
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Attention,
    ::testing::Combine(::testing::Values(Case{9, 3, 64, 0, 0}, Case{4, 4, 80, 0, 0},
                                         Case{4, 1, 12, 5, 0}, Case{3, 1, 7, 0, 2.0},
                                         Case{8, 4, 128, 66, 30.0}, Case{1, 1, 16, 1, 0},
                                         Case{4, 1, 256, 0, 0}),
                       ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace safesail
