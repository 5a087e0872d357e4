// The product for a few tokens against ATen's, on every instruction set.
#include "model/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "model/amx_bf16.h"
#include "model/dot_bf16.h"
#include "model/golden_testing.h"
#include "model/instruction_sets_testing.h"
#include "model/linear_cpu.h"

namespace safesail {
namespace {

class LinearTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(LinearTest, AsAten) {
  const at::ScalarType type = GetParam();
  at::manual_seed(1);
  for (const std::int64_t in : {1, 15, 33, 100, 576})
    for (const std::int64_t out : {1, 4, 71})
      for (const std::int64_t n_tokens : {1, 3, 17})
        for (const bool bias : {false, true}) {
          const Linear linear{at::randn({out, in}).to(type),
                              bias ? at::randn({out}).to(type) : at::Tensor()};
          const at::Tensor x = at::randn({n_tokens, in}).to(type);
          at::Tensor expected = at::mm(x.to(at::kDouble), linear.weight.to(at::kDouble).t());
          if (bias) expected += linear.bias.to(at::kDouble);
          // f32 sums of up to 576 products: sqrt(576) 2^-24 of their norm. bf16: the result is
          // rounded, 2^-9 of an element; elements reach some four rms.
          const double tolerance = type == at::kFloat ? 1e-5 : 0.02;
          const std::string what =
              std::to_string(n_tokens) + " x " + std::to_string(in) + " x " + std::to_string(out);
          testing::on_each_instruction_set([&] {
            at::Tensor result = at::full({n_tokens, out}, 99, type);
            multiply(linear, x, result);
            testing::expect_close(result, expected, tolerance, what);
            if (type == at::kFloat) return;
            result.fill_(99);
            cpu::multiply_few({.bf16 = true,
                               .use_bf16_dot = false,
                               .n_tokens = n_tokens,
                               .in = in,
                               .out = out,
                               .x = x.const_data_ptr(),
                               .weight = linear.weight.const_data_ptr(),
                               .bias = bias ? linear.bias.const_data_ptr() : nullptr,
                               .result = result.mutable_data_ptr()},
                              0, out);
            testing::expect_close(result, expected, tolerance, what + " without bf16 products");
          });
        }
}

/// Numbers of tokens that make one padded product, pieces with a padded rest, and a part a thread.
TEST(ManyTokens, AsInDoubles) {
  at::manual_seed(3);
  for (const std::int64_t n_tokens : {9, 21, 101, 130, 499, 300 * at::get_num_threads() + 1})
    for (const bool bias : {false, true}) {
      const Linear linear{at::randn({70, 96}).to(at::kBFloat16),
                          bias ? at::randn({70}).to(at::kBFloat16) : at::Tensor()};
      const at::Tensor x = at::randn({n_tokens, 96}).to(at::kBFloat16);
      at::Tensor expected = at::mm(x.to(at::kDouble), linear.weight.to(at::kDouble).t());
      if (bias) expected += linear.bias.to(at::kDouble);
      at::Tensor result = at::full({n_tokens, 70}, 99, at::kBFloat16);
      multiply(linear, x, result);
      // Rounded once: by at most 2^-8 of an element, and of so many some reach five rms.
      testing::expect_close(result, expected, 0.02,
                            std::to_string(n_tokens) + (bias ? " with bias" : " without bias"));
    }
}

TEST(WidenedProduct, AsTheProductOfBf16) {
  at::manual_seed(2);
  for (const std::int64_t out : {7, 5000})  // less and more than a tile
    for (const bool bias : {false, true}) {
      const Linear linear{at::randn({out, 96}).to(at::kBFloat16),
                          bias ? at::randn({out}).to(at::kBFloat16) : at::Tensor()};
      const at::Tensor x = at::randn({20, 96}).to(at::kBFloat16);
      at::Tensor expected = at::mm(x.to(at::kDouble), linear.weight.to(at::kDouble).t());
      if (bias) expected += linear.bias.to(at::kDouble);
      at::Tensor result = at::full({20, out}, 99, at::kBFloat16);
      multiply_widened(linear, x, result);
      // Rounded once: by at most 2^-8 of an element, and of so many some reach five rms.
      testing::expect_close(result, expected, 0.02, std::to_string(out) + " outputs");
    }
}

// SAFESAIL_CPU_TARGET=AVX2 is to show what a CPU of that kind computes: products too.
TEST(HeldTarget, ProductsOfBf16AreWidened) {
  const std::vector<std::string> targets = kernel_targets();
  if (!cpu_multiplies_bf16()) GTEST_SKIP() << "this CPU has no bf16 products to be held back";
  at::manual_seed(4);
  const Linear linear{at::randn({300, 576}).to(at::kBFloat16), at::Tensor()};
  const at::Tensor x = at::randn({300, 576}).to(at::kBFloat16);
  at::Tensor widened = at::empty({300, 300}, at::kBFloat16), held = at::empty_like(widened);
  multiply_widened(linear, x, widened);
  choose_kernel_target(targets.back());
  EXPECT_FALSE(cpu::has_bf16_dot());
  EXPECT_FALSE(cpu::has_amx_bf16());
  multiply(linear, x, held);
  choose_kernel_target(targets.front());
  EXPECT_TRUE(cpu::has_bf16_dot());
  EXPECT_TRUE(held.equal(widened));
}

INSTANTIATE_TEST_SUITE_P(Types, LinearTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& element) {
                           return element.param == at::kFloat ? "f32" : "bf16";
                         });

}  // namespace
}  // namespace safesail
