#include "sae/metrics.h"

#include <ATen/ATen.h>
#include <cmath>
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
  SparseCodes codes{{0, 1, 3, 4, 4}, {0, 0, 2, 0}, {1, 2, 1, 1}};
};

TEST(StreamingMetrics, EqualTheClosedForm) {
  const ByHand hand;
  StreamingMetrics metrics(SaeSpec::topk(2, 4, 2));
  EXPECT_EQ(metrics.add(hand.x, hand.xhat, hand.codes), (std::vector<double>{1, 0, 4, 0}));
  EXPECT_EQ(metrics.n_tokens(), 4);
  EXPECT_DOUBLE_EQ(metrics.mean()[0], 2);
  EXPECT_DOUBLE_EQ(metrics.mean()[1], 0);
  EXPECT_DOUBLE_EQ(metrics.fvu(), 0.5);
  // About (2, 0): x is (-1,0) (1,0) (0,2) (0,-2), xhat (-1,1) (1,0) (-2,2) (0,-2); products
  // 1 + 1 + 4 + 4, squares 2 + 1 + 8 + 4.
  EXPECT_DOUBLE_EQ(metrics.scale_to_fit(), 10.0 / 15.0);
  EXPECT_DOUBLE_EQ(metrics.norm_ratio(), (std::sqrt(2.0) + 1 + 2 / std::sqrt(8.0) + 1) / 4);
  EXPECT_DOUBLE_EQ(metrics.cosine(), (1 / std::sqrt(2.0) + 1 + 4 / (std::sqrt(8.0) * 2) + 1) / 4);
  EXPECT_DOUBLE_EQ(metrics.l0(), 1);
  EXPECT_EQ(metrics.l0_quantile(0.25), 0);
  EXPECT_EQ(metrics.l0_quantile(0.5), 1);
  EXPECT_EQ(metrics.l0_quantile(0.95), 2);
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
  const SaeSpec spec = SaeSpec::topk(2, 4, 2);
  StreamingMetrics whole(spec), parts(spec);
  whole.add(hand.x, hand.xhat, hand.codes);
  for (std::int64_t t = 0; t < 4; ++t) {
    const auto first = hand.codes.offsets[std::size_t(t)];
    const auto last = hand.codes.offsets[std::size_t(t) + 1];
    const SparseCodes one{{0, last - first},
                          {hand.codes.indices.begin() + first, hand.codes.indices.begin() + last},
                          {hand.codes.values.begin() + first, hand.codes.values.begin() + last}};
    parts.add(hand.x.narrow(0, t, 1), hand.xhat.narrow(0, t, 1), one);
  }
  EXPECT_DOUBLE_EQ(parts.fvu(), whole.fvu());
  EXPECT_DOUBLE_EQ(parts.scale_to_fit(), whole.scale_to_fit());
  EXPECT_DOUBLE_EQ(parts.norm_ratio(), whole.norm_ratio());
  EXPECT_DOUBLE_EQ(parts.l0(), whole.l0());
  EXPECT_EQ(parts.l0_quantile(0.95), whole.l0_quantile(0.95));
  EXPECT_TRUE(std::ranges::equal(parts.n_fired(), whole.n_fired()));
}

TEST(StreamingMetrics, PerfectAndMeanReconstructionsAreZeroAndOne) {
  Rng rng(41, "metrics");
  const at::Tensor x = random_tensor(50, 6, rng).add_(100);
  const SparseCodes none{std::vector<std::int64_t>(51), {}, {}};
  const SaeSpec spec = SaeSpec::topk(6, 1, 1);
  StreamingMetrics perfect(spec), mean(spec);
  perfect.add(x, x, none);
  mean.add(x, x.to(at::kDouble).mean(0, true).expand({50, 6}), none);
  EXPECT_EQ(perfect.fvu(), 0);
  EXPECT_NEAR(perfect.scale_to_fit(), 1, 1e-12);
  EXPECT_NEAR(perfect.cosine(), 1, 1e-12);
  EXPECT_NEAR(mean.fvu(), 1, 1e-12);
  EXPECT_EQ(mean.dead_share(), 1);
}

// xhat = m + (x - m) / 2 has to be scaled by 2, and explains 1 - 1/4 of the variance.
TEST(StreamingMetrics, AShrunkenReconstructionTellsByHowMuch) {
  Rng rng(42, "metrics");
  const at::Tensor x = random_tensor(3000, 5, rng).to(at::kDouble).add_(10);
  const at::Tensor mean = x.mean(0, true);
  StreamingMetrics metrics(SaeSpec::topk(5, 1, 1));
  metrics.add(x, mean + (x - mean) / 2, {std::vector<std::int64_t>(3001), {}, {}});
  // f64 sums of 15,000 terms, once about blockwise and once about joined means.
  EXPECT_NEAR(metrics.scale_to_fit(), 2, 1e-11);
  EXPECT_NEAR(metrics.fvu(), 0.25, 1e-12);
}

}  // namespace
}  // namespace safesail
