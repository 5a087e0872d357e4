#include "sae/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "sae/test_support.h"

namespace safesail {
namespace {

// Four tokens in two dimensions with mean (2, 0): deviations 1 + 1 + 4 + 4 = 10. Errors: 1 + 0 + 4
// + 0 = 5. Features 0 (three tokens), 2 (one); 1 and 3 never.
struct ByHand {
  at::Tensor x = at::tensor({1.0, 0.0, 3.0, 0.0, 2.0, 2.0, 2.0, -2.0}).to(at::kFloat).view({4, 2});
  at::Tensor xhat =
      at::tensor({1.0, 1.0, 3.0, 0.0, 0.0, 2.0, 2.0, -2.0}).to(at::kFloat).view({4, 2});
  SparseCodes codes{2, {0, -1, 0, 2, 0, -1, -1, -1}, {1, 0, 2, 1, 1, 0, 0, 0}};
};

TEST(StreamingMetrics, EqualTheClosedForm) {
  const ByHand hand;
  StreamingMetrics metrics({2, 4, 2});
  metrics.add(hand.x, hand.xhat, hand.codes);
  EXPECT_EQ(metrics.n_tokens(), 4);
  EXPECT_DOUBLE_EQ(metrics.fvu(), 0.5);
  EXPECT_DOUBLE_EQ(metrics.mse(), 1.25);
  EXPECT_DOUBLE_EQ(metrics.l0(), 1);
  EXPECT_DOUBLE_EQ(metrics.dead_share(), 0.5);
  EXPECT_DOUBLE_EQ(metrics.density(0), 0.75);
  EXPECT_DOUBLE_EQ(metrics.density(2), 0.25);
  // log10(0.75) = -0.12 and log10(0.25) = -0.60, in ten bins of a tenth from -1 to 0.
  std::vector<std::int64_t> bins(10);
  bins[8] = 1;
  bins[3] = 1;
  EXPECT_EQ(metrics.density_histogram(10, -1), bins);
  // From -0.5 on, feature 2 is rarer than the lowest bin.
  EXPECT_EQ(metrics.density_histogram(2, -0.5).front(), 1);
}

TEST(StreamingMetrics, TheMeanIsTheWholeCorpus) {
  const ByHand hand;
  StreamingMetrics whole({2, 4, 2}), left({2, 4, 2}), right({2, 4, 2});
  whole.add(hand.x, hand.xhat, hand.codes);
  for (std::int64_t t = 0; t < 4; ++t) {
    const auto slot = std::ptrdiff_t(2 * t);
    const SparseCodes one{
        2,
        {hand.codes.indices.begin() + slot, hand.codes.indices.begin() + slot + 2},
        {hand.codes.values.begin() + slot, hand.codes.values.begin() + slot + 2}};
    (t < 1 ? left : right).add(hand.x.narrow(0, t, 1), hand.xhat.narrow(0, t, 1), one);
  }
  left.merge(right);
  EXPECT_DOUBLE_EQ(left.fvu(), whole.fvu());
  EXPECT_DOUBLE_EQ(left.l0(), whole.l0());
  EXPECT_TRUE(std::ranges::equal(left.n_fired(), whole.n_fired()));
}

TEST(StreamingMetrics, PerfectAndMeanReconstructionsAreZeroAndOne) {
  Rng rng(41, "metrics");
  const at::Tensor x = random_tensor(50, 6, rng).add_(100);
  const SparseCodes none{1, std::vector<std::int32_t>(50, -1), std::vector<float>(50, 0.0f)};
  StreamingMetrics perfect({6, 1, 1}), mean({6, 1, 1});
  perfect.add(x, x, none);
  mean.add(x, x.to(at::kDouble).mean(0, true).expand({50, 6}), none);
  EXPECT_EQ(perfect.fvu(), 0);
  EXPECT_NEAR(mean.fvu(), 1, 1e-12);
  EXPECT_EQ(mean.dead_share(), 1);
}

}  // namespace
}  // namespace safesail
