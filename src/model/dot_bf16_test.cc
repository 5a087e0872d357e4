// The products of bf16 pairs against sums in double: with whole tiles and with what is left of each
// dimension, with A by rows and by columns.
#include "model/dot_bf16.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/golden_testing.h"

namespace safesail {
namespace {

const std::uint32_t* lanes_of(const at::Tensor& pairs) {
  return reinterpret_cast<const std::uint32_t*>(pairs.const_data_ptr<std::int32_t>());
}

TEST(PairProduct, AsSumsInDouble) {
  if (!cpu::has_bf16_dot()) GTEST_SKIP() << "this CPU has no dot product of bf16";
  at::manual_seed(3);
  for (const std::size_t rows : {8, 16, 24, 48, 64})
    for (const std::size_t columns : {16, 32, 48, 192})
      for (const std::size_t inner : {1, 7, 16, 32, 40})  // pairs
        for (const bool by_rows : {true, false})
          for (const bool accumulate : {true, false}) {
            const auto m = static_cast<std::int64_t>(rows), n = static_cast<std::int64_t>(columns),
                       k = static_cast<std::int64_t>(inner);
            const at::Tensor a = at::randn({m, 2 * k}).to(at::kBFloat16),
                             b = at::randn({2 * k, n}).to(at::kBFloat16);
            const at::Tensor before = at::randn({m, n + 16});  // rows of C further apart than long
            at::Tensor expected = at::mm(a.to(at::kDouble), b.to(at::kDouble));
            if (accumulate) expected += before.narrow(1, 0, n);

            at::Tensor a_pairs = a.view(at::kInt);
            if (!by_rows) a_pairs = a_pairs.t().contiguous();
            const at::Tensor b_pairs =
                b.view({k, 2, n}).transpose(1, 2).contiguous().view(at::kInt);
            at::Tensor c = before.clone();
            cpu::multiply_pairs({.a = lanes_of(a_pairs),
                                 .a_row = by_rows ? inner : 1,
                                 .a_inner = by_rows ? 1 : rows,
                                 .b = lanes_of(b_pairs),
                                 .b_inner = columns,
                                 .c = c.data_ptr<float>(),
                                 .c_row = columns + 16,
                                 .rows = rows,
                                 .columns = columns,
                                 .inner = inner,
                                 .accumulate = accumulate});
            const std::string what = std::to_string(rows) + " x " + std::to_string(columns) +
                                     " x " + std::to_string(inner) + (by_rows ? "" : ", A^T") +
                                     (accumulate ? ", added" : "");
            // f32 sums of up to 81 terms: sqrt(81) 2^-24 of their norm.
            testing::expect_close(c.narrow(1, 0, n), expected, 1e-5, what);
            testing::expect_close(c.narrow(1, n, 16), before.narrow(1, n, 16), 0,
                                  what + ", beside");
          }
}

}  // namespace
}  // namespace safesail
