#include "sae/kernels/above.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/half.h"
#include "sae/kernels/each_target.h"
#include "sae/kernels/vectors.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

TEST(Above, EqualsItsDefinitionForAllSizes) {
  for_each_target([] {
    Rng rng(1, "above");
    for (const std::int64_t size : {1, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1000}) {
      const auto n = std::size_t(size);
      const std::vector<float> pre = random_floats(n, rng), bias = random_floats(n, rng);
      const std::vector<float> lower = random_floats(n, rng);
      std::vector<float> slack(n);
      for (float& factor : slack) factor = float(rng.uniform());
      std::vector<std::uint16_t> rounded(n);
      round_to_bf16(pre.data(), size, rounded.data());
      for (const float token_slack : {0.0f, 0.5f}) {
        SCOPED_TRACE(testing::Message() << "n " << n << " slack " << token_slack);
        std::vector<std::int32_t> expected{-7}, expected_bf16{-7}, got{-7}, got_bf16{-7};
        for (std::size_t i = 0; i < n; ++i) {
          // Fused and separate rounding may differ on a tie alone, which random numbers do not hit.
          const float bound = lower[i] - token_slack * slack[i];
          if (pre[i] + bias[i] > bound) expected.push_back(100 + std::int32_t(i));
          if (float_of_bf16(rounded[i]) + bias[i] > bound)
            expected_bf16.push_back(100 + std::int32_t(i));
        }
        const AboveBounds bounds{bias.data(), lower.data(), slack.data()};
        append_above(std::span<const float>(pre), bounds, token_slack, 100, got);
        append_above(std::span<const std::uint16_t>(rounded), bounds, token_slack, 100, got_bf16);
        EXPECT_EQ(got, expected);
        EXPECT_EQ(got_bf16, expected_bf16);
      }
    }
  });
}

TEST(Above, BoundsAreExclusive) {
  for_each_target([] {
    const std::vector<float> pre(20, 1.0f), bias(20, 0.5f), lower(20, 1.5f), slack(20, 0.0f);
    std::vector<std::int32_t> got;
    append_above(std::span<const float>(pre), {bias.data(), lower.data(), slack.data()}, 0, 0, got);
    EXPECT_TRUE(got.empty());
  });
}

}  // namespace
}  // namespace safesail
