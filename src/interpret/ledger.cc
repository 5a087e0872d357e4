#include "interpret/ledger.h"

#include "base/error.h"

namespace safesail {

Budget::Budget(const Limits& limits, const Price& price) : limits_(limits), price_(price) {
  if (limits.money < 0) bad_input("budget", "expected at least 0", "correct the budget");
  if (limits.money > 0 && !price.known())
    bad_input("budget", "expected the price of the model where money is limited, got none",
              "give a price table, or limit tokens");
}

bool Budget::reserve(const TokenUsage& most) {
  const std::scoped_lock lock(mutex_);
  TokenUsage after = spent_;
  after += reserved_;
  after += most;
  if (limits_.tokens > 0 && after.total() > limits_.tokens) return false;
  if (limits_.money > 0 && price_.of(after) > limits_.money) return false;
  reserved_ += most;
  return true;
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

double Budget::money() const {
  return price_.of(spent());
}

}  // namespace safesail
