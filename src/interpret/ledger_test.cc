#include "interpret/ledger.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::string_view kPrices = R"({"currency": "EUR", "models": {
  "small": {"prompt": 1, "cached": 0.25, "completion": 4}, "plain": {"prompt": 1, "completion": 2},
  "odd": {"prompt": -1, "completion": 2}}})";

class PriceTest : public testing::Test {
 protected:
  void SetUp() override { write_file(path_, kPrices); }
  void TearDown() override { fs::remove(path_); }
  const fs::path path_ =
      fs::temp_directory_path() / fmt::format("safesail_prices{}.json", ::getpid());
};

TEST_F(PriceTest, ReadsTheTable) {
  const Price price = read_price(path_, "small");
  EXPECT_EQ(price.currency, "EUR");
  // 6 fresh, 4 cached, 10 completion tokens: (6 * 1 + 4 * 0.25 + 10 * 4) / 1e6.
  EXPECT_DOUBLE_EQ(price.of({.prompt = 10, .cached = 4, .completion = 10, .reasoning = 7}), 47e-6);
  EXPECT_EQ(read_price(path_, "plain").cached, 1) << "cached tokens cost as others where not said";
  EXPECT_THROW(read_price(path_, "odd"), Error);
  EXPECT_THROW(read_price(path_, "missing"), Error);
  EXPECT_FALSE(Price{}.known());
}

TEST(LikelyTokens, CountsScriptsApart) {
  EXPECT_EQ(likely_tokens(""), 0U);
  EXPECT_EQ(likely_tokens("twelve bytes"), 3U);
  EXPECT_EQ(likely_tokens("你好"), 2U);
}

TEST(Budget, ReservesTheMostAndKeepsTheTruth) {
  Budget budget({.tokens = 100}, {});
  ASSERT_TRUE(budget.reserve({.prompt = 40, .completion = 20}));
  EXPECT_FALSE(budget.reserve({.prompt = 41})) << "60 are reserved";
  EXPECT_TRUE(budget.reserve({.prompt = 40}));
  budget.settle({.prompt = 40, .completion = 20}, {.prompt = 10, .completion = 5});
  EXPECT_EQ(budget.spent().total(), 15U);
  EXPECT_TRUE(budget.reserve({.prompt = 45})) << "15 spent, 40 reserved";
  EXPECT_FALSE(budget.reserve({.prompt = 1}));
}

TEST(Budget, CountsWhatWasSpentEarlier) {
  const Price price{.prompt = 1e6, .cached = 1e6, .completion = 1e6};
  Budget budget({.money = 10, .tokens = 100}, price, {.money = 4, .tokens = 30});
  EXPECT_FALSE(budget.reserve({.prompt = 7})) << "4 are gone already";
  ASSERT_TRUE(budget.reserve({.prompt = 5}));
  EXPECT_TRUE(budget.pay({.prompt = 1})) << "4 earlier, 1 lost, 5 reserved";
  EXPECT_FALSE(budget.pay({.prompt = 1}));
  budget.settle({.prompt = 5}, {.prompt = 2});
  EXPECT_EQ(budget.spent().total(), 4U) << "of this start";
  EXPECT_EQ(budget.in_all().tokens, 34U);
  EXPECT_DOUBLE_EQ(budget.in_all().money, 8);
  Budget tokens({.tokens = 100}, {}, {.money = 0, .tokens = 99});
  EXPECT_FALSE(tokens.reserve({.prompt = 2}));
  EXPECT_TRUE(tokens.reserve({.prompt = 1}));
}

TEST(Budget, LimitsMoney) {
  const Price price{.prompt = 1e6, .cached = 5e5, .completion = 2e6};  // 1 a prompt token
  Budget budget({.money = 10}, price);
  ASSERT_TRUE(budget.reserve({.prompt = 4, .completion = 3}));
  EXPECT_FALSE(budget.reserve({.prompt = 1}));
  budget.settle({.prompt = 4, .completion = 3}, {.prompt = 4, .cached = 2, .completion = 1});
  EXPECT_DOUBLE_EQ(budget.money(), 5);
  EXPECT_TRUE(budget.reserve({.prompt = 5}));
  EXPECT_THROW(Budget({.money = 1}, {}), Error) << "no price, no limit in money";
}

}  // namespace
}  // namespace safesail
