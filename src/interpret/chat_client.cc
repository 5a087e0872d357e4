#include "interpret/chat_client.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "base/units.h"
#include "formats/json.h"
#include "interpret/chat_http.h"
#include "interpret/chat_verdict.h"

namespace safesail {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

/// No tokenizer makes more tokens than bytes; templates add a few a message.
TokenUsage most_of(const ChatRequest& request, const EndpointSettings& settings) {
  TokenUsage most;
  for (const ChatMessage& message : request.messages) most.prompt += message.content.size() + 16;
  most.completion = static_cast<std::uint64_t>(request.max_tokens) +
                    static_cast<std::uint64_t>(settings.thinking_tokens);
  return most;
}

TokenUsage likely_of(const ChatRequest& request, const EndpointSettings& settings) {
  TokenUsage likely;
  for (const ChatMessage& message : request.messages)
    likely.prompt += likely_tokens(message.content) + 4;
  likely.reasoning = static_cast<std::uint64_t>(settings.thinking_tokens / 2);
  likely.completion = static_cast<std::uint64_t>(request.expected_tokens) + likely.reasoning;
  return likely;
}

/// Tokens of the messages with which both open.
std::uint64_t shared_tokens(const ChatRequest& a, const ChatRequest& b) {
  std::uint64_t n = 0;
  for (std::size_t m = 0; m < std::min(a.messages.size(), b.messages.size()); ++m) {
    if (a.messages[m].content != b.messages[m].content) break;
    n += likely_tokens(a.messages[m].content);
  }
  return n;
}

}  // namespace

struct ChatClient::Impl {
  Impl(const EndpointSettings& settings_, ApiKey key_, Budget& budget_, Ledger* ledger_,
       Reporter& reporter_, std::stop_token stop_)
      : settings(settings_),
        key(std::move(key_)),
        budget(budget_),
        ledger(ledger_),
        reporter(reporter_),
        stop(std::move(stop_)),
        pool(settings_.concurrency) {}

  const EndpointSettings settings;
  const ApiKey key;
  Budget& budget;
  Ledger* const ledger;
  Reporter& reporter;
  const std::stop_token stop;
  HttpPool pool;

  std::mutex mutex;
  std::condition_variable_any changed;
  // Protected by mutex:
  ChatDialect dialect;
  std::exception_ptr ended;
  std::set<std::string> in_flight;  // hashes of requests
  Clock::time_point not_before{};   // the endpoint asked everybody to wait
  int failures_in_a_row = 0;
  std::uint64_t n_done = 0, n_expected = 0;
  std::map<std::string, ChatTotals> totals;

  ChatResult resolve(const ChatRequest& request);
  ChatResult send(const ChatRequest& request, const std::string& hash);
  void send_until_settled(const ChatRequest& request, const std::string& hash, ChatResult& result,
                          std::string& body);
  void lose(const TokenUsage& usage, ChatResult& result);
  [[noreturn]] void over_budget() const;
  std::optional<ChatResult> recall(const ChatRequest& request, const std::string& hash);
  ChatResult read(const ChatRequest& request, std::string_view body) const;
  void wait_for_turn();
  void pause(const std::string& hash, int n_attempts, const HttpReply& reply);
  bool learn(const ChatRequest& request, const ChatDialect& spoken, std::string_view complaint);
  void leave_out_schema(std::string_view complaint);
  void note_learnt(std::string_view complaint);  // call under mutex
  void write_line(const ChatRequest& request, const std::string& hash, const ChatResult& result,
                  std::string_view body);
  void record(const ChatRequest& request, const std::string& hash, const ChatResult& result,
              std::string_view body);
  void count(const ChatRequest& request, const ChatResult& result);
  void throw_if_ended();  // call under mutex
  std::string where() const { return fmt::format("endpoint {}", settings.base_url); }
};

void ChatClient::Impl::throw_if_ended() {
  if (ended) std::rethrow_exception(ended);
  if (stop.stop_requested())
    failed(where(), "stopped", "run the same command again to go on: what was answered is kept");
}

ChatResult ChatClient::Impl::resolve(const ChatRequest& request) {
  const std::string hash = request_hash(request, settings);
  std::unique_lock lock(mutex);
  // The same question may be under way already: its answer serves both.
  changed.wait(lock, [&] { return !in_flight.contains(hash); });
  if (auto known = recall(request, hash)) return *std::move(known);  // free, even after the end
  throw_if_ended();
  in_flight.insert(hash);
  lock.unlock();
  const auto leave = [&] {
    lock.lock();
    in_flight.erase(hash);
    changed.notify_all();
  };
  try {
    ChatResult result = send(request, hash);
    leave();
    return result;
  } catch (...) {
    leave();
    if (!ended) ended = std::current_exception();
    throw;
  }
}

std::optional<ChatResult> ChatClient::Impl::recall(const ChatRequest& request,
                                                   const std::string& hash) {
  if (ledger == nullptr) return std::nullopt;
  const std::optional<std::string> body = ledger->find(hash);
  if (!body) return std::nullopt;
  ChatResult result = read(request, *body);
  result.from_ledger = true;
  return result;
}

ChatResult ChatClient::Impl::read(const ChatRequest& request, std::string_view body) const {
  ChatResult result;
  result.answer = parse_chat_answer(body);
  if (!result.answer.usage_given) {
    result.answer.usage = likely_of(request, settings);
    result.answer.usage.reasoning = likely_tokens(result.answer.thinking);
    result.answer.usage.completion =
        likely_tokens(result.answer.content) + result.answer.usage.reasoning;
  }
  result.status = status_of(result.answer);
  if (result.status == AnswerStatus::refused)
    result.detail =
        result.answer.refusal.empty()
            ? fmt::format("no answer, finish reason {}", printable(result.answer.finish_reason))
            : printable(result.answer.refusal);
  result.money = budget.price().of(result.answer.usage);
  return result;
}

ChatResult ChatClient::Impl::send(const ChatRequest& request, const std::string& hash) {
  const TokenUsage most = most_of(request, settings);
  if (!budget.reserve(most)) over_budget();
  ChatResult result;
  std::string body;  // of the answer
  try {
    send_until_settled(request, hash, result, body);
  } catch (...) {
    budget.settle(most, {});
    if (result.lost.total() > 0) write_line(request, hash, result, {});
    throw;
  }
  budget.settle(most, result.answer.usage);
  record(request, hash, result, body);
  return result;
}

void ChatClient::Impl::over_budget() const {
  const Budget::Limits& limits = budget.limits();
  if (budget.is_late())
    failed("budget", fmt::format("{} have passed", human_duration(limits.seconds)),
           "run the same command again to go on: what was answered is kept");
  const std::string limit = limits.tokens > 0
                                ? fmt::format("{} tokens", limits.tokens)
                                : fmt::format("{} {}", limits.money, budget.price().currency);
  const Budget::Spent all = budget.in_all();
  failed("budget",
         fmt::format("the next request might go beyond {}: {} tokens and {:.4g} {} are spent{}",
                     limit, all.tokens, all.money, budget.price().currency,
                     budget.earlier().tokens > 0
                         ? fmt::format(", {} tokens and {:.4g} of it before this start",
                                       budget.earlier().tokens, budget.earlier().money)
                         : ""),
         "raise the budget and run the same command again: what was answered is kept");
}

/// Books an attempt that is charged for and gave nothing.
void ChatClient::Impl::lose(const TokenUsage& usage, ChatResult& result) {
  result.lost += usage;
  if (!budget.pay(usage)) over_budget();
}

void ChatClient::Impl::send_until_settled(const ChatRequest& request, const std::string& hash,
                                          ChatResult& result, std::string& body) {
  HttpRequest post{.url = address_of(settings) + (address_of(settings).ends_with('/') ? "" : "/") +
                          "chat/completions",
                   .authorization = key.authorization(),
                   .body = {},
                   .timeout = settings.timeout + Milliseconds(static_cast<std::int64_t>(
                                                     1000 * settings.thinking_seconds)),
                   .max_bytes = kMaxAnswerBytes,
                   .stop_grace = settings.stop_grace};
  using Kind = ChatVerdict::Kind;
  std::string complaint;  // why this request is tried without its schema
  for (int n_tries = 1;; ++n_tries) {
    wait_for_turn();
    ChatDialect known;
    {
      const std::scoped_lock lock(mutex);
      known = dialect;
    }
    ChatDialect spoken = known;
    if (!complaint.empty()) spoken.schema = ChatDialect::Schema::none;
    post.body = chat_body(request, settings, spoken);
    HttpReply reply = pool.post(post, stop);
    ++result.n_requests;
    ChatVerdict verdict = judge(reply);
    // It may have been answered all the same.
    if (reply.transport != HttpReply::Transport::ok && reply.was_sent)
      lose(likely_of(request, settings), result);

    if (verdict.kind == Kind::answer) {
      std::string text = key.without_key(reply.body);
      try {
        ChatResult answered = read(request, text);
        answered.n_requests = result.n_requests;
        answered.lost = result.lost;
        answered.money += budget.price().of(result.lost);
        result = std::move(answered);
        body = std::move(text);
        if (!complaint.empty()) leave_out_schema(complaint);
        return;
      } catch (const Error& error) {
        constexpr std::size_t kShown = 100;
        verdict = {.kind = Kind::again,
                   .detail = fmt::format("{}; the answer begins: {}", error.problem(),
                                         printable(text.substr(0, kShown)))};
        if (const int status = error_status(text); status != 0) {
          reply.status = status;
          verdict = judge(reply);
        } else {
          lose(stated_usage(text).value_or(likely_of(request, settings)), result);
        }
      }
    }
    verdict.detail = key.without_key(std::move(verdict.detail));
    result.detail = verdict.detail;
    if (verdict.complaint != ChatVerdict::Complaint::none) {
      if (learn(request, known, verdict.detail)) {
        --n_tries;
        continue;
      }
      // It may be the schema, unnamed, or this request alone: only what helps is learnt.
      if (verdict.complaint == ChatVerdict::Complaint::likely &&
          spoken.schema != ChatDialect::Schema::none && !request.schema.empty()) {
        complaint = verdict.detail;
        --n_tries;
        continue;
      }
    }
    if (verdict.kind == Kind::end) failed(where(), verdict.detail, verdict.remedy);
    if (verdict.kind == Kind::again && n_tries < settings.max_attempts) {
      pause(hash, n_tries, reply);
      continue;
    }
    result.status = verdict.kind == Kind::refused ? AnswerStatus::refused : AnswerStatus::failed;
    result.too_long = verdict.too_long;
    result.money = budget.price().of(result.lost);
    return;
  }
}

/// True when asking again in the dialect of now may help. Each step leaves out one more field, so
/// this ends.
bool ChatClient::Impl::learn(const ChatRequest& request, const ChatDialect& spoken,
                             std::string_view complaint) {
  const std::scoped_lock lock(mutex);
  if (dialect != spoken) return true;  // another request has learnt it meanwhile
  dialect = adapt(spoken, request, complaint, settings.model);
  if (dialect == spoken) return false;
  note_learnt(complaint);
  return true;
}

void ChatClient::Impl::leave_out_schema(std::string_view complaint) {
  const std::scoped_lock lock(mutex);
  if (std::exchange(dialect.schema, ChatDialect::Schema::none) == ChatDialect::Schema::none) return;
  note_learnt(complaint);
}

void ChatClient::Impl::note_learnt(std::string_view complaint) {
  reporter.note(
      fmt::format("the endpoint refused a field of the request; going on without ({})", complaint));
}

void ChatClient::Impl::wait_for_turn() {
  std::unique_lock lock(mutex);
  throw_if_ended();
  while (Clock::now() < not_before) {
    changed.wait_until(lock, stop, not_before, [&] { return ended != nullptr; });
    throw_if_ended();
  }
}

void ChatClient::Impl::pause(const std::string& hash, int n_attempts, const HttpReply& reply) {
  std::unique_lock lock(mutex);
  Clock::time_point until = Clock::now();
  if (reply.retry_after) {
    if (*reply.retry_after > settings.longest_retry_after)
      failed(where(),
             fmt::format("asks to wait {} before the next request",
                         human_duration(static_cast<double>(reply.retry_after->count()) / 1000)),
             "run the same command again then: what was answered is kept");
    until += *reply.retry_after;
    if (reply.status == 429) not_before = std::max(not_before, until);
  } else {
    Rng rng(settings.seed, fmt::format("pause {} {}", hash, n_attempts));
    const double doubled = static_cast<double>(settings.first_pause.count()) *
                           static_cast<double>(std::uint64_t{1} << std::min(n_attempts - 1, 20));
    const double longest = static_cast<double>(settings.longest_pause.count());
    // Half to whole, so that requests that failed together do not come back together.
    until += Milliseconds(
        static_cast<std::int64_t>(std::min(doubled, longest) * (0.5 + 0.5 * rng.uniform())));
  }
  changed.wait_until(lock, stop, until, [&] { return ended != nullptr; });
  throw_if_ended();
}

void ChatClient::Impl::write_line(const ChatRequest& request, const std::string& hash,
                                  const ChatResult& result, std::string_view body) {
  const std::scoped_lock lock(mutex);
  if (ledger == nullptr) return;
  LedgerEntry entry{.purpose = request.purpose,
                    .feature = request.feature,
                    .endpoint = settings.base_url,
                    .model = settings.model,
                    .request_hash = hash,
                    .usage = result.answer.usage,
                    .n_requests = result.n_requests,
                    .money = 0,
                    .currency = budget.price().currency,
                    .status = std::string(to_string(result.status)),
                    .reason = result.detail};
  entry.usage += result.lost;
  entry.money = budget.price().of(entry.usage);
  ledger->record(entry, body.empty() ? std::nullopt : std::optional(body));
}

void ChatClient::Impl::record(const ChatRequest& request, const std::string& hash,
                              const ChatResult& result, std::string_view body) {
  write_line(request, hash, result, body);
  const std::scoped_lock lock(mutex);
  if (result.too_long) return;  // its own fault alone
  failures_in_a_row = result.status == AnswerStatus::failed ? failures_in_a_row + 1 : 0;
  if (failures_in_a_row >= settings.max_failures_in_a_row)
    failed(where(),
           fmt::format("{} requests in a row failed, the last with: {}", failures_in_a_row,
                       result.detail),
           "see that the endpoint works, then run the same command again");
}

void ChatClient::Impl::count(const ChatRequest& request, const ChatResult& result) {
  const std::scoped_lock lock(mutex);
  ChatTotals& sum = totals[request.purpose];
  ++sum.answers;
  sum.from_ledger += result.from_ledger;
  sum.refused += result.status == AnswerStatus::refused;
  sum.failed += result.status == AnswerStatus::failed;
  sum.n_requests += static_cast<std::uint64_t>(result.n_requests);
  sum.usage += result.answer.usage;
  sum.usage += result.lost;
  sum.money += result.money;
  ++n_done;
  const std::string tokens = human_count(static_cast<double>(budget.spent().total()));
  reporter.progress(request.purpose, n_done, std::max(n_done, n_expected), "requests",
                    budget.price().known() ? fmt::format("{} tokens, {:.4f} {}", tokens,
                                                         budget.money(), budget.price().currency)
                                           : fmt::format("{} tokens", tokens));
}

ChatClient::ChatClient(const EndpointSettings& settings, ApiKey key, Budget& budget, Ledger* ledger,
                       Reporter& reporter, std::stop_token stop) {
  check_endpoint(settings);
  if (!key.empty() && !is_private(address_of(settings)))
    reporter.warn("the key is sent over plain http");
  impl_ =
      std::make_unique<Impl>(settings, std::move(key), budget, ledger, reporter, std::move(stop));
}

ChatClient::~ChatClient() = default;

const EndpointSettings& ChatClient::settings() const {
  return impl_->settings;
}

std::vector<ChatResult> ChatClient::ask(std::span<const ChatRequest> requests) {
  std::vector<ChatResult> results(requests.size());
  std::atomic<std::size_t> next = 0;
  std::mutex error_mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < requests.size(); i = next++) {
        results[i] = impl_->resolve(requests[i]);
        impl_->count(requests[i], results[i]);
      }
    } catch (...) {
      const std::scoped_lock lock(error_mutex);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    const auto n_threads =
        std::min(requests.size(), static_cast<std::size_t>(impl_->settings.concurrency));
    for (std::size_t i = 1; i < n_threads; ++i) threads.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
  return results;
}

CostEstimate ChatClient::estimate(std::span<const ChatRequest> requests) {
  CostEstimate sum;
  std::set<std::string> counted;
  const ChatRequest* before = nullptr;
  for (const ChatRequest& request : requests) {
    const std::scoped_lock lock(impl_->mutex);
    const std::string hash = request_hash(request, impl_->settings);
    if (!counted.insert(hash).second ||
        (impl_->ledger != nullptr && impl_->ledger->find(hash).has_value())) {
      ++sum.answered;
      continue;
    }
    ++sum.requests;
    if (before != nullptr) sum.shared += shared_tokens(*before, request);
    before = &request;
    const TokenUsage likely = likely_of(request, impl_->settings);
    sum.usage += likely;
    if (!impl_->settings.answer_forms || request.form.empty()) sum.written += likely.completion;
    sum.longest =
        std::max(sum.longest, likely.prompt + most_of(request, impl_->settings).completion);
  }
  sum.money = impl_->budget.price().of(sum.usage);
  return sum;
}

void ChatClient::expect(const CostEstimate& estimate) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->n_expected += estimate.requests + estimate.answered;
}

std::map<std::string, ChatTotals> ChatClient::spending() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->totals;
}

}  // namespace safesail
