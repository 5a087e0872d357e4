#include "sae/moments.h"

#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "base/error.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

// A mean 10^4 times the spread: sums of squares in f32, or E x^2 - (E x)^2 even in f64 of f32 sums,
// would lose the variance altogether.
TEST(RunningMoments, AreExactFarFromZeroAndForAnyCut) {
  Rng rng(31, "moments");
  at::Tensor x = random_tensor(3000, 5, rng).add_(10000);
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor mean = wide.mean(0);
  const double variance = wide.sub(mean).square().sum().item<double>() / 3000;

  for (const std::int64_t cut : {1, 7, 256, 3000}) {
    RunningMoments moments(5);
    for (std::int64_t first = 0; first < 3000; first += cut) {
      moments.add(x.narrow(0, first, std::min(cut, 3000 - first)));
    }
    EXPECT_EQ(moments.n_tokens(), 3000);
    // f64 rounding of numbers of 10^4 over 3000 additions at the very most.
    EXPECT_NEAR(moments.total_variance(), variance, variance * 1e-9) << "cut " << cut;
    for (std::int64_t i = 0; i < 5; ++i) {
      EXPECT_NEAR(moments.mean()[std::size_t(i)], mean[i].item<double>(), 1e-8) << "cut " << cut;
    }
  }
}

TEST(RunningMoments, MergeIsTheSameAsAddingAll) {
  Rng rng(32, "merge");
  const at::Tensor x = random_tensor(100, 3, rng);
  RunningMoments whole(3), left(3), right(3), empty(3);
  whole.add(x);
  left.add(x.narrow(0, 0, 30));
  right.add(x.narrow(0, 30, 70));
  left.merge(right);
  left.merge(empty);
  empty.merge(left);
  EXPECT_EQ(empty.n_tokens(), 100);
  EXPECT_NEAR(empty.total_variance(), whole.total_variance(), 1e-12);
}

TEST(RunningMoments, TransformCentresAndScales) {
  Rng rng(33, "transform");
  const at::Tensor x = random_tensor(500, 12, rng).mul_(7).add_(3);
  RunningMoments moments(12);
  moments.add(x.to(at::kBFloat16));
  const at::Tensor z = moments.transform("mlp_out.1").apply(x.to(at::kBFloat16));
  EXPECT_NEAR(z.mean(0).abs().max().item<double>(), 0, 1e-5);
  EXPECT_NEAR(z.square().sum().item<double>() / 500, 12, 12 * 1e-5);
}

TEST(RunningMoments, RefusesWhatHasNoSpread) {
  RunningMoments moments(4);
  EXPECT_THROW(moments.transform("a site"), Error);
  moments.add(at::ones({10, 4}));
  EXPECT_THROW(moments.transform("a site"), Error);
  at::Tensor x = at::ones({2, 4});
  x[0][0] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(moments.add(x), Error);
}

}  // namespace
}  // namespace safesail
