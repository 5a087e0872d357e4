#include "sae/kernels/topk.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

#include "base/half.h"
#include "sae/kernels/each_target.h"
#include "sae/kernels/vectors.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

// The truth: a full sort by (value, lower feature), positive values only, by rising feature.
std::vector<std::int32_t> sorted_topk(std::span<const float> values, std::int64_t k) {
  std::vector<std::int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](std::int32_t i) { return values[std::size_t(i)]; });
  std::erase_if(order, [&](std::int32_t i) { return !(values[std::size_t(i)] > 0); });
  order.resize(std::min(order.size(), std::size_t(k)));
  std::ranges::sort(order);
  return order;
}

template <class T>
std::vector<std::int32_t> running_topk(std::span<const T> pre, std::span<const float> bias,
                                       std::int64_t k, std::size_t tile) {
  RunningTopK best(k);
  for (std::size_t first = 0; first < pre.size(); first += tile) {
    const std::size_t n = std::min(tile, pre.size() - first);
    best.offer(pre.subspan(first, n), bias.data() + first, std::int32_t(first));
  }
  return {best.best().begin(), best.best().end()};
}

void expect_topk(const std::vector<float>& pre, const std::vector<float>& bias, std::int64_t k,
                 std::size_t tile) {
  std::vector<float> values(pre.size()), rounded_values(pre.size());
  std::vector<std::uint16_t> rounded(pre.size());
  round_to_bf16(pre.data(), std::int64_t(pre.size()), rounded.data());
  for (std::size_t i = 0; i < pre.size(); ++i) {
    values[i] = pre[i] + bias[i];
    rounded_values[i] = float_of_bf16(rounded[i]) + bias[i];
  }
  EXPECT_EQ(running_topk(std::span(pre), bias, k, tile), sorted_topk(values, k));
  EXPECT_EQ(running_topk(std::span<const std::uint16_t>(rounded), bias, k, tile),
            sorted_topk(rounded_values, k));
}

TEST(RunningTopK, EqualsAFullSortForAllSizes) {
  for_each_target([] {
    Rng rng(1, "topk");
    for (const std::int64_t n : {1, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1000, 5000}) {
      const std::vector<float> pre = random_floats(std::size_t(n), rng);
      const std::vector<float> bias = random_floats(std::size_t(n), rng);
      for (const std::int64_t k : {std::int64_t{1}, n / 3 + 1, n}) {
        for (const std::size_t tile : {std::size_t{1024}, std::size_t{96}}) {
          SCOPED_TRACE(testing::Message() << "n " << n << " k " << k << " tile " << tile);
          expect_topk(pre, bias, k, tile);
        }
      }
    }
  });
}

// Few distinct values: most of the k-th places are ties, and the lower features must win them.
TEST(RunningTopK, GivesTiesToTheLowerFeature) {
  for_each_target([] {
    Rng rng(2, "ties");
    for (const std::size_t n : {17u, 100u, 3000u}) {
      std::vector<float> pre(n);
      for (float& value : pre) value = float(rng.below(4)) - 1;
      const std::vector<float> bias(n, 0.5f);
      for (const std::int64_t k : {1, 5, 16, 200}) {
        SCOPED_TRACE(testing::Message() << "n " << n << " k " << k);
        expect_topk(pre, bias, k, 512);
      }
    }
  });
}

TEST(RunningTopK, KeepsNothingThatIsNotPositive) {
  const std::vector<float> pre{-1, 0, -0.0f, -3}, bias(4, 0.0f);
  EXPECT_TRUE(running_topk(std::span(pre), bias, 3, 4).empty());
}

TEST(RunningTopK, TakesTheSmallestAndTheLargestFloats) {
  const std::vector<float> pre{1e-45f, 3e38f, 1e-38f, 1}, bias(4, 0.0f);
  expect_topk(pre, bias, 1, 4);
  expect_topk(pre, bias, 2, 4);
  expect_topk(pre, bias, 4, 4);
}

}  // namespace
}  // namespace safesail
