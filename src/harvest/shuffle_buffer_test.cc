#include "harvest/shuffle_buffer.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>
#include <set>

#include "base/error.h"

namespace safesail {
namespace {

/// Row r is the number r, at two sites; documents are runs of ten rows. Blocks of `block_rows`.
class Numbers final : public BlockSource {
 public:
  Numbers(std::int64_t n_rows, std::int64_t block_rows)
      : n_rows_(n_rows), block_rows_(block_rows) {}

  std::optional<ActivationBlock> next() override {
    if (row_ >= n_rows_) return std::nullopt;
    const std::int64_t end = std::min(n_rows_, row_ + block_rows_);
    ActivationBlock block;
    block.values.push_back(at::arange(row_, end, at::kFloat).reshape({-1, 1}));
    block.values.push_back(block.values[0].mul(-1));
    for (; row_ < end; ++row_) {
      block.token.push_back(static_cast<std::int32_t>(row_));
      block.document.push_back(static_cast<std::uint64_t>(row_ / 10));
    }
    ++n_computed;
    block.seconds = 0.5 * static_cast<double>(block.n_rows());
    return block;
  }
  void skip(std::uint64_t n_blocks) override {
    row_ = std::min(n_rows_, row_ + static_cast<std::int64_t>(n_blocks) * block_rows_);
  }

  int n_computed = 0;

 private:
  const std::int64_t n_rows_, block_rows_;
  std::int64_t row_ = 0;
};

std::vector<ActivationBlock> drain(BlockSource& source) {
  std::vector<ActivationBlock> blocks;
  while (auto block = source.next()) blocks.push_back(std::move(*block));
  return blocks;
}

struct Shape {
  std::int64_t n_rows, block_rows, n_ways;
};
const Shape kShapes[] = {{1000, 100, 4}, {1003, 100, 7}, {250, 100, 5}, {3, 100, 7},
                         {10, 2, 3},     {1000, 100, 1}, {101, 100, 3}};

TEST(ShuffleBuffer, GivesEveryRowOnceWithItsProvenance) {
  for (const Shape& shape : kShapes) {
    Numbers source(shape.n_rows, shape.block_rows);
    ShuffleBuffer buffer(source, shape.n_ways, 3);
    std::vector<std::int32_t> seen;
    for (const ActivationBlock& block : drain(buffer)) {
      ASSERT_GT(block.n_rows(), 0u);
      ASSERT_EQ(block.token.size(), block.n_rows());
      for (std::size_t i = 0; i < block.n_rows(); ++i) {
        const auto row = static_cast<std::int64_t>(i);
        ASSERT_EQ(block.values[0][row][0].item<float>(), static_cast<float>(block.token[i]));
        ASSERT_EQ(block.values[1][row][0].item<float>(), -static_cast<float>(block.token[i]));
        ASSERT_EQ(block.document[i], static_cast<std::uint64_t>(block.token[i] / 10));
      }
      seen.insert(seen.end(), block.token.begin(), block.token.end());
    }
    std::sort(seen.begin(), seen.end());
    std::vector<std::int32_t> expected(static_cast<std::size_t>(shape.n_rows));
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(seen, expected) << shape.n_rows << " rows, " << shape.n_ways << " ways";
  }
}

// Or a rate made of them would be wrong while the buffer fills and while it empties.
TEST(ShuffleBuffer, RowsKeepTheSecondsSpentOnThem) {
  for (const Shape& shape : kShapes) {
    Numbers source(shape.n_rows, shape.block_rows);
    ShuffleBuffer buffer(source, shape.n_ways, 3);
    for (const ActivationBlock& block : drain(buffer)) {
      const double expected = 0.5 * static_cast<double>(block.n_rows());
      // Sums of at most n_ways shares, each rounded twice.
      EXPECT_NEAR(block.seconds, expected, expected * 1e-14);
    }
  }
}

TEST(ShuffleBuffer, ContinuesBehindAnyBlock) {
  for (const Shape& shape : kShapes) {
    Numbers source(shape.n_rows, shape.block_rows);
    ShuffleBuffer buffer(source, shape.n_ways, 3);
    const std::vector<ActivationBlock> whole = drain(buffer);
    for (std::size_t n = 0; n <= whole.size(); ++n) {
      Numbers again(shape.n_rows, shape.block_rows);
      ShuffleBuffer resumed(again, shape.n_ways, 3);
      resumed.skip(n);
      EXPECT_LT(again.n_computed, shape.n_ways) << "computes no more than it must";
      const std::vector<ActivationBlock> rest = drain(resumed);
      ASSERT_EQ(rest.size(), whole.size() - n) << shape.n_rows << " rows from block " << n;
      for (std::size_t i = 0; i < rest.size(); ++i)
        ASSERT_EQ(rest[i].token, whole[n + i].token) << "block " << i << " from block " << n;
    }
  }
}

TEST(ShuffleBuffer, MixesBlocksAndDocumentsEvenly) {
  Numbers source(2000, 100);
  ShuffleBuffer buffer(source, 5, 3);
  const std::vector<ActivationBlock> blocks = drain(buffer);
  ASSERT_EQ(blocks.size(), 24u);
  for (std::size_t t = 4; t < 20; ++t) {
    std::vector<int> from(20);
    for (const std::int32_t row : blocks[t].token) ++from[static_cast<std::size_t>(row / 100)];
    for (std::size_t age = 0; age < 5; ++age) EXPECT_EQ(from[t - age], 20) << "block " << t;
    // 100 rows out of 50 documents: of 25 rows in a row, how many documents? Drawn at random 20 at
    // least; in the order of the source at most 3.
    const std::set<std::uint64_t> documents(blocks[t].document.begin(),
                                            blocks[t].document.begin() + 25);
    EXPECT_GE(documents.size(), 12u) << "block " << t;
  }
}

TEST(ShuffleBuffer, SeedsGiveOtherOrders) {
  Numbers a(500, 100), b(500, 100);
  ShuffleBuffer first(a, 3, 1), second(b, 3, 2);
  EXPECT_NE(first.next()->token, second.next()->token);
}

TEST(ShuffleWays, FollowTheMemory) {
  EXPECT_EQ(shuffle_ways(65'536, 16'384), 7);
  EXPECT_EQ(shuffle_ways(0, 16'384), 1);
  EXPECT_EQ(shuffle_ways(16'384, 16'384), 1);
}

}  // namespace
}  // namespace safesail
