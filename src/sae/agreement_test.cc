#include "sae/agreement.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <numeric>

#include "base/error.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

// More features than a tile holds, so that best matches come from several tiles.
constexpr std::int64_t kFeatures = 2500, kWidth = 24;

Sae random_decoder(std::int64_t n_features, std::uint64_t seed) {
  return Sae::random(SaeSpec::topk(kWidth, n_features, 4), identity_transform(kWidth), seed);
}

void copy_row(const Sae& from, std::int64_t i, Sae& to, std::int64_t j, float scale) {
  for (std::int64_t c = 0; c < kWidth; ++c)
    to.w_dec()[std::size_t(j * kWidth + c)] = scale * from.w_dec()[std::size_t(i * kWidth + c)];
}

TEST(FeatureAgreement, APermutedCopyAgreesEntirely) {
  const Sae a = random_decoder(kFeatures, 1);
  Sae b = random_decoder(kFeatures, 2);
  std::vector<std::int64_t> order(kFeatures);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(3, "agreement");
  shuffle(order, rng);
  // Lengths of rows do not count.
  for (std::int64_t i = 0; i < kFeatures; ++i)
    copy_row(a, i, b, order[std::size_t(i)], 0.5f + float(i % 5));
  const FeatureAgreement agreement = feature_agreement(a, b);
  // A unit vector with itself: 24 products in f32.
  EXPECT_NEAR(agreement.mean_max_cosine, 1, 1e-6);
  EXPECT_NEAR(agreement.mean_max_cosine_back, 1, 1e-6);
  EXPECT_EQ(agreement.matched_share, 1);
}

// Half of the smaller SAE's features are copies; of the others none may count, because the
// threshold lies above every cosine of random directions here.
TEST(FeatureAgreement, OnlyMutualMatchesAboveTheThresholdCount) {
  const Sae a = random_decoder(kFeatures, 4);
  Sae b = random_decoder(1000, 5);
  for (std::int64_t i = 0; i < 500; ++i) copy_row(a, 2 * i, b, i, 1);
  const FeatureAgreement agreement = feature_agreement(a, b, 0.95);
  EXPECT_EQ(agreement.matched_share, 0.5);
  EXPECT_LT(agreement.mean_max_cosine, agreement.mean_max_cosine_back);
  EXPECT_DOUBLE_EQ(feature_agreement(b, a, 0.95).mean_max_cosine, agreement.mean_max_cosine_back);
}

// Many copies of one direction match one feature once.
TEST(FeatureAgreement, CopiesOfOneFeatureMatchOnce) {
  const Sae a = random_decoder(8, 6);
  Sae b = random_decoder(8, 7);
  for (std::int64_t j = 0; j < 8; ++j) copy_row(a, 0, b, j, 1);
  EXPECT_EQ(feature_agreement(a, b).matched_share, 1.0 / 8);
}

TEST(FeatureAgreement, UnequalWidthsAreRefused) {
  const Sae a = random_decoder(8, 8);
  const Sae b = Sae::random(SaeSpec::topk(kWidth + 1, 8, 4), identity_transform(kWidth + 1), 9);
  EXPECT_THROW(feature_agreement(a, b), Error);
}

}  // namespace
}  // namespace safesail
