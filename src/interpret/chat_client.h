// Asks an endpoint: several requests at once, each until it is answered or fails for good, none
// twice, none beyond the budget.
//
// ask() may be called from several threads; together they keep to the concurrency of the settings.
// Ledger, Budget, Reporter and stop token are the caller's and outlive the client.
//
// Errors. 429, 5xx, time-outs, broken connections and broken answers are tried again after a pause
// (Retry-After where given, else doubling, jittered by the seed); what still fails then is `failed`
// in its result. A field that the endpoint does not take is left out from then on. 401, 402, 403,
// 404, another address, a quota used up, a spent budget, a stop, or too many failures in a row end
// the work: no further request is sent, those in flight are finished and recorded, and
// ask() throws, then and ever after.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/report.h"
#include "interpret/chat_answer.h"
#include "interpret/chat_request.h"
#include "interpret/ledger.h"

namespace safesail {

struct ChatResult {
  AnswerStatus status = AnswerStatus::failed;  ///< ok, refused or failed
  ChatAnswer answer;
  /// Of attempts that are charged for, though nothing could be read of them: answers that are none,
  /// requests that timed out. Where the endpoint does not say, likely ones.
  TokenUsage lost;
  std::string detail;        ///< why not, for people
  bool too_long = false;     ///< failed: a shorter prompt may be answered
  bool from_ledger = false;  ///< answered before; nothing was paid now
  int n_requests = 0;        ///< attempts made now
  double money = 0;          ///< what it cost, whenever that was
};

/// Sums over requests of one purpose, answers from the ledger at what they cost when they were
/// made: what the work costs, not what this start of the program paid.
struct ChatTotals {
  std::uint64_t answers = 0, from_ledger = 0, refused = 0, failed = 0;
  std::uint64_t n_requests = 0;  ///< attempts made now
  TokenUsage usage;
  double money = 0;
};

class ChatClient {
 public:
  /// `ledger` may be nullptr: then nothing is kept.
  ChatClient(const EndpointSettings& settings, ApiKey key, Budget& budget, Ledger* ledger,
             Reporter& reporter, std::stop_token stop = {});
  ~ChatClient();
  ChatClient(const ChatClient&) = delete;
  ChatClient& operator=(const ChatClient&) = delete;

  /// One result a request, in their order.
  std::vector<ChatResult> ask(std::span<const ChatRequest> requests);

  /// What ask() would probably cost.
  CostEstimate estimate(std::span<const ChatRequest> requests);
  /// The progress that ask() reports is out of these from now on.
  void expect(const CostEstimate& estimate);

  const EndpointSettings& settings() const;
  std::map<std::string, ChatTotals> spending() const;  ///< by purpose

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
