#include "harvest/site_statistics.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/rng.h"

namespace safesail {
namespace {

constexpr std::int64_t kRows = 4000, kWidth = 32;

/// Standard normal rows with dimension 5 moved by 20 (gamma 20), dimension 6 by 2 (gamma 2), and
/// every hundredth row, token 7 at position 0, multiplied by 1000.
ActivationBlock planted(std::int64_t rows, bool with_provenance) {
  Rng rng(3, "planted");
  ActivationBlock block;
  const at::Tensor x = at::empty({rows, kWidth}, at::kFloat);
  float* at = x.mutable_data_ptr<float>();
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t i = 0; i < kWidth; ++i) {
      const double mean = i == 5 ? 20 : i == 6 ? 2 : 0;
      *at++ = static_cast<float>((rng.normal() + mean) * (row % 100 == 0 ? 1000 : 1));
    }
  block.values = {x};
  for (std::int64_t row = 0; with_provenance && row < rows; ++row) {
    block.token.push_back(row % 100 == 0 ? 7 : 8);
    block.position.push_back(static_cast<std::int32_t>(row % 100));
    block.document.push_back(static_cast<std::uint64_t>(row / 100));
  }
  return block;
}

TEST(SiteStatistics, FindsWhatWasPlanted) {
  const ActivationBlock first = planted(kRows, true), second = planted(kRows / 2, true);
  const SiteStatistics s = measure_site("mlp_out.3", 0, {&first, &second});
  EXPECT_EQ(s.n_tokens, 6000u);
  ASSERT_EQ(s.n_sinks, 60u);
  ASSERT_EQ(s.sinks.size(), 1u);
  EXPECT_EQ(s.sinks[0].token, 7);
  EXPECT_EQ(s.sinks[0].position, 0);
  EXPECT_EQ(s.sinks[0].n, 60u);
  EXPECT_GT(s.sinks[0].norm_ratio, 500);

  ASSERT_EQ(s.n_outliers, 1u);
  EXPECT_EQ(s.outliers[0].dimension, 5);
  // Means and deviations of 5,940 normal numbers: standard errors 0.013 and 0.009.
  EXPECT_NEAR(s.outliers[0].mean, 20, 0.1);
  EXPECT_NEAR(s.outliers[0].gamma, 20, 1);
  EXPECT_NEAR(s.transform.center[6], 2, 0.1);
  // E|x - mean|^2 = kWidth, sinks left out; with them it would be about 4 million.
  EXPECT_NEAR(s.transform.scale, 1, 0.02);
  // |x| = sqrt(20^2 + 2^2 + 32) = 20.9 within a few percent for half of the tokens.
  EXPECT_NEAR(s.median_norm(), 20.9, 0.5);

  const std::string text = describe(s, [](std::int32_t) { return "<s>"; });
  EXPECT_THAT(text, testing::HasSubstr("60 of 6000 tokens are attention sinks"));
  EXPECT_THAT(text, testing::HasSubstr("\"<s>\" at position 0 (60 times)"));
  EXPECT_EQ(to_json(s, {}).at("n_outlier_dimensions"), 1);
}

TEST(SiteStatistics, NeedsNoProvenance) {
  const ActivationBlock block = planted(kRows, false);
  const SiteStatistics s = measure_site("x", 0, {&block});
  EXPECT_EQ(s.n_sinks, 40u);
  EXPECT_TRUE(s.sinks.empty());
}

TEST(SiteStatistics, NonFiniteActivationsAreAnError) {
  ActivationBlock block = planted(kRows, false);
  block.values[0][10][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(measure_site("x", 0, {&block}), Error);
  block = planted(kRows, false);
  block.values[0][10][3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(measure_site("x", 0, {&block}), Error);
}

}  // namespace
}  // namespace safesail
