#include "sae/kernels/vectors.h"

#include <ATen/ATen.h>
#include <bit>
#include <cmath>
#include <gtest/gtest.h>

#include "base/half.h"
#include "sae/kernels/adam.h"
#include "sae/kernels/each_target.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

constexpr double kEpsilon = 0x1p-24;

TEST(Vectors, EqualTheScalarTruth) {
  for_each_target([] {
    Rng rng(5, "vectors");
    for (const std::int64_t n : kTailSizes) {
      SCOPED_TRACE(n);
      const auto size = std::size_t(n);
      const std::vector<float> a = random_floats(size, rng), b = random_floats(size, rng);
      double dot_truth = 0, squares = 0;
      std::vector<float> sum(size);
      for (std::size_t i = 0; i < size; ++i) {
        dot_truth += double(a[i]) * b[i];
        squares += double(a[i]) * a[i];
        sum[i] = std::fma(0.3f, a[i], b[i]);
      }
      EXPECT_NEAR(dot(a.data(), b.data(), n), dot_truth, double(n) * 16 * kEpsilon);
      EXPECT_NEAR(sum_of_squares(a.data(), n), squares, squares * double(n) * 0x1p-53);
      std::vector<float> got = b;
      add_scaled(0.3f, a.data(), n, got.data());
      // Without a fused multiply-add the product is rounded once more.
      expect_near(got, sum, 4 * kEpsilon, "add_scaled");

      std::vector<float> unit = a, rest = b;
      normalise_row(n, unit.data());
      EXPECT_NEAR(sum_of_squares(unit.data(), n), 1, 4 * kEpsilon);
      remove_parallel(unit.data(), n, rest.data());
      EXPECT_NEAR(dot(rest.data(), unit.data(), n), 0, double(n) * 16 * kEpsilon);
    }
  });
}

TEST(Vectors, ARowOfZerosStays) {
  std::vector<float> zeros(17, 0.0f);
  normalise_row(17, zeros.data());
  expect_near(zeros, std::vector<float>(17, 0.0f), 0, "zeros");
}

TEST(Vectors, RoundToBf16GoesToTheNearestAndToEvenOnTies) {
  for_each_target([] {
    // 1 + 2^-8 lies midway between two bf16 numbers of which 1 is even; 1 + 3 * 2^-8 likewise.
    const std::vector<float> in{1.0f,
                                1 + 0x1p-8f,
                                1 + 0x1.8p-7f,
                                1 + 0x1.1p-8f,
                                -2.5f,
                                0.0f,
                                1e-40f,
                                3e38f,
                                1,
                                1,
                                1,
                                1,
                                1,
                                1,
                                1,
                                1,
                                1 + 0x1p-8f};
    std::vector<std::uint16_t> out(in.size());
    round_to_bf16(in.data(), std::int64_t(in.size()), out.data());
    EXPECT_EQ(float_of_bf16(out[0]), 1.0f);
    EXPECT_EQ(float_of_bf16(out[1]), 1.0f);
    EXPECT_EQ(float_of_bf16(out[2]), 1 + 0x1p-6f);
    EXPECT_EQ(float_of_bf16(out[3]), 1 + 0x1p-7f);
    EXPECT_EQ(float_of_bf16(out[4]), -2.5f);
    for (std::size_t i = 0; i < in.size(); ++i) EXPECT_EQ(out[i], bf16_of_float(in[i])) << i;
  });
}

// Each quantity passes through at most six roundings of one f32 unit.
TEST(Adam, EqualsTheScalarTruth) {
  for_each_target([] {
    Rng rng(6, "adam");
    for (const std::int64_t n : kTailSizes) {
      SCOPED_TRACE(n);
      const auto size = std::size_t(n);
      const std::vector<float> g = random_floats(size, rng);
      std::vector<float> w = random_floats(size, rng), m = random_floats(size, rng);
      std::vector<float> v = random_floats(size, rng);
      for (float& value : v) value *= value;
      std::vector<float> true_w(size), true_m(size), true_v(size);
      const double lr = 0.01, b1 = 0.9, b2 = 0.999, eps = 1e-8, t = 7, clip = 0.5;
      for (std::size_t i = 0; i < size; ++i) {
        const double gradient = clip * g[i];
        const double first = b1 * m[i] + (1 - b1) * gradient;
        const double second = b2 * v[i] + (1 - b2) * gradient * gradient;
        const double step = lr / (1 - std::pow(b1, t)) * first /
                            (std::sqrt(second) / std::sqrt(1 - std::pow(b2, t)) + eps);
        true_w[i] = float(w[i] - step);
        true_m[i] = float(first);
        true_v[i] = float(second);
      }
      AdamStep step = AdamStep::at(b1, b2, eps, lr, 7);
      step.gradient_scale = float(clip);
      adam_row(step, g.data(), n, w.data(), m.data(), v.data());
      expect_near(m, true_m, 4 * 6 * kEpsilon, "first moment");
      expect_near(v, true_v, 16 * 6 * kEpsilon, "second moment");
      expect_near(w, true_w, 4 * 6 * kEpsilon, "weights");
    }
  });
}

}  // namespace
}  // namespace safesail
