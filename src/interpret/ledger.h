// The ledger: which requests were made, what they cost, and what was answered. With it a request is
// paid for once, however often the work is begun again. The atlas keeps one on disk.
//
// Nothing in it ever holds a key. Budget may be used from several threads; a Ledger is called by
// one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "interpret/price.h"

namespace safesail {

/// One request, retries included, as it ended.
struct LedgerEntry {
  std::string purpose;  ///< "explain", "tag", "score.segment"...
  std::string feature;  ///< "mlp_out.17/topk-k32:16378", SAE and index; empty: unknown
  std::string endpoint, model;
  std::string request_hash;
  TokenUsage usage;
  int n_requests = 0;  ///< attempts
  double money = 0;
  std::string currency;
  std::string status;  ///< "ok", "refused" or "failed"
  std::string reason;  ///< for people, where it is not ok
};

class Ledger {
 public:
  virtual ~Ledger() = default;
  /// The answer (the response's body) that was recorded for a request, if any.
  virtual std::optional<std::string> find(const std::string& request_hash) = 0;
  /// Keeps the entry and, where there is one, the answer; both or neither, and on disk when it
  /// returns.
  virtual void record(const LedgerEntry& entry, std::optional<std::string_view> answer) = 0;
};

/// Keeps spending below limits: what a request may cost at most is reserved before it is sent, and
/// replaced by what it did cost. What was spent earlier counts.
class Budget {
 public:
  struct Limits {
    double money = 0;          ///< 0: no limit
    std::uint64_t tokens = 0;  ///< prompt and completion together; 0: no limit
    double seconds = 0;        ///< of this start, from its first request on; 0: no limit
  };
  struct Spent {
    double money = 0;
    std::uint64_t tokens = 0;
  };

  /// An input error when money is limited and the price is not known.
  Budget(const Limits& limits, const Price& price, const Spent& earlier = {0, 0});

  /// False when `most` might go beyond a limit, or when it is late.
  bool reserve(const TokenUsage& most);
  void settle(const TokenUsage& reserved, const TokenUsage& spent);
  /// For what nothing is got; the reservation stays. False when that, with all that is reserved, is
  /// beyond a limit.
  bool pay(const TokenUsage& lost);

  bool is_late() const;
  TokenUsage spent() const;  ///< from here on
  double money() const;
  Spent in_all() const;
  const Spent& earlier() const { return earlier_; }
  const Price& price() const { return price_; }
  const Limits& limits() const { return limits_; }

 private:
  bool fits(const TokenUsage& more) const;  // call under mutex

  const Limits limits_;
  const Price price_;
  const Spent earlier_;
  mutable std::mutex mutex_;
  // Protected by mutex_:
  TokenUsage spent_, reserved_;
  std::optional<std::chrono::steady_clock::time_point> begin_;
};

}  // namespace safesail
