#include "interpret/chat_http.h"

#include <algorithm>
#include <curl/curl.h>
#include <fmt/format.h>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/units.h"
#include "base/version.h"

namespace safesail {
namespace {

using Clock = std::chrono::steady_clock;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Headers = std::unique_ptr<curl_slist, FreeList>;

void add(Headers& headers, const std::string& line) {
  curl_slist* const list = curl_slist_append(headers.get(), line.c_str());
  if (list == nullptr) throw std::bad_alloc();
  if (!headers) headers.reset(list);  // else it is the same list, longer
}

/// What the callbacks of one transfer share.
struct Transfer {
  const HttpRequest& request;
  const std::stop_token& stop;
  std::string body;
  bool too_large = false;
  std::optional<Clock::time_point> give_up_at;  // set once a stop is seen
  bool stopped = false;
};

std::size_t on_body(const char* data, std::size_t, std::size_t n, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (n > transfer.request.max_bytes - transfer.body.size()) {
    transfer.too_large = true;
    return 0;
  }
  transfer.body.append(data, n);
  return n;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.stop.stop_requested()) return 0;
  if (!transfer.give_up_at) transfer.give_up_at = Clock::now() + transfer.request.stop_grace;
  transfer.stopped = Clock::now() >= *transfer.give_up_at;
  return transfer.stopped ? 1 : 0;
}

/// Faults that another try would meet again.
bool is_lasting(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
      return true;
    default:
      return false;
  }
}

}  // namespace

class HttpPool::Connection {
 public:
  Connection() : curl_(curl_easy_init()) {
    if (curl_ == nullptr)
      failed("libcurl", "expected a handle, got none", "check the installation of libcurl");
  }
  ~Connection() { curl_easy_cleanup(curl_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  HttpReply post(const HttpRequest& request, const std::stop_token& stop) {
    Headers headers;
    add(headers, "Content-Type: application/json");
    add(headers, "Expect:");  // no wait for a 100 that many servers never send
    if (!request.authorization.empty()) add(headers, request.authorization);
    Transfer transfer{request, stop, {}, false, {}, false};

    curl_easy_reset(curl_);  // keeps the connection
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, fmt::format("safesail/{}", kVersion).c_str());
    set(CURLOPT_HTTPHEADER, headers.get());
    set(CURLOPT_ACCEPT_ENCODING, "");  // whatever libcurl can undo; on_body() counts what comes out
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.c_str());
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, &transfer);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &on_progress);
    set(CURLOPT_XFERINFODATA, &transfer);
    const CURLcode code = curl_easy_perform(curl_);
    return reply(code, std::move(transfer));
  }

 private:
  template <class T>
  void set(CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(curl_, option, value);
    if (code != CURLE_OK)
      failed("libcurl",
             fmt::format("expected it to take option {}, got: {}", static_cast<int>(option),
                         curl_easy_strerror(code)),
             "install libcurl 7.85 or later");
  }

  HttpReply reply(CURLcode code, Transfer transfer) const {
    HttpReply reply;
    curl_off_t n_sent = 0;
    reply.was_sent = curl_easy_getinfo(curl_, CURLINFO_SIZE_UPLOAD_T, &n_sent) == CURLE_OK &&
                     static_cast<std::uint64_t>(n_sent) >= transfer.request.body.size();
    if (code != CURLE_OK) {
      using Transport = HttpReply::Transport;
      reply.problem = curl_easy_strerror(code);
      reply.transport = is_lasting(code) ? Transport::unusable : Transport::broken;
      if (transfer.stopped) reply.transport = Transport::stopped;
      if (transfer.too_large) {
        reply.transport = Transport::unusable;
        reply.problem =
            fmt::format("the answer is larger than {}", human_bytes(transfer.request.max_bytes));
      }
      return reply;
    }
    reply.transport = HttpReply::Transport::ok;
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    reply.status = static_cast<int>(status);
    curl_off_t seconds = 0;  // 0 where there was no such header; a date is turned into seconds
    if (curl_easy_getinfo(curl_, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
      reply.retry_after = std::chrono::seconds(std::min<curl_off_t>(seconds, 1 << 30));
    const char* elsewhere = nullptr;
    if (curl_easy_getinfo(curl_, CURLINFO_REDIRECT_URL, &elsewhere) == CURLE_OK &&
        elsewhere != nullptr)
      reply.moved_to = elsewhere;
    reply.body = std::move(transfer.body);
    return reply;
  }

  CURL* curl_;
};

HttpPool::HttpPool(int n_connections) {
  for (int i = 0; i < n_connections; ++i) idle_.push_back(std::make_unique<Connection>());
}

HttpPool::~HttpPool() = default;

std::unique_ptr<HttpPool::Connection> HttpPool::take() {
  std::unique_lock lock(mutex_);
  free_.wait(lock, [&] { return !idle_.empty(); });
  // The one used last: it is the likeliest to be open still.
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void HttpPool::give(std::unique_ptr<Connection> connection) {
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(connection));
  free_.notify_one();
}

HttpReply HttpPool::post(const HttpRequest& request, std::stop_token stop) {
  std::unique_ptr<Connection> connection = take();
  try {
    HttpReply reply = connection->post(request, stop);
    give(std::move(connection));
    return reply;
  } catch (...) {
    give(std::move(connection));
    throw;
  }
}

}  // namespace safesail
