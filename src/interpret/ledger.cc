#include "interpret/ledger.h"

#include "base/error.h"

namespace safesail {

Budget::Budget(const Limits& limits, const Price& price, const Spent& earlier)
    : limits_(limits), price_(price), earlier_(earlier) {
  if (limits.money < 0 || limits.seconds < 0)
    bad_input("budget", "expected at least 0", "correct the budget");
  if (limits.money > 0 && !price.known())
    bad_input("budget", "expected the price of the model where money is limited, got none",
              "give a price table, or limit tokens");
}

bool Budget::fits(const TokenUsage& more) const {
  TokenUsage after = spent_;
  after += reserved_;
  after += more;
  return (limits_.tokens == 0 || earlier_.tokens + after.total() <= limits_.tokens) &&
         (limits_.money == 0 || earlier_.money + price_.of(after) <= limits_.money);
}

bool Budget::is_late() const {
  const std::scoped_lock lock(mutex_);
  const std::chrono::duration<double> taken =
      begin_ ? std::chrono::steady_clock::now() - *begin_ : std::chrono::steady_clock::duration{};
  return limits_.seconds > 0 && taken.count() >= limits_.seconds;
}

bool Budget::reserve(const TokenUsage& most) {
  if (is_late()) return false;
  const std::scoped_lock lock(mutex_);
  if (!begin_) begin_ = std::chrono::steady_clock::now();
  if (!fits(most)) return false;
  reserved_ += most;
  return true;
}

bool Budget::pay(const TokenUsage& lost) {
  const std::scoped_lock lock(mutex_);
  spent_ += lost;
  return fits({});
}

void Budget::settle(const TokenUsage& reserved, const TokenUsage& spent) {
  const std::scoped_lock lock(mutex_);
  reserved_.prompt -= reserved.prompt;
  reserved_.cached -= reserved.cached;
  reserved_.completion -= reserved.completion;
  reserved_.reasoning -= reserved.reasoning;
  spent_ += spent;
}

TokenUsage Budget::spent() const {
  const std::scoped_lock lock(mutex_);
  return spent_;
}

Budget::Spent Budget::in_all() const {
  return {.money = earlier_.money + money(), .tokens = earlier_.tokens + spent().total()};
}

double Budget::money() const {
  return price_.of(spent());
}

}  // namespace safesail
