// POST over libcurl: connections that are kept and shared out, bounded bodies, bounded time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace safesail {

struct HttpRequest {
  std::string url;
  std::string authorization;  ///< header line; may be empty
  std::string body;           ///< JSON
  std::chrono::milliseconds timeout{};
  std::uint64_t max_bytes = 0;             ///< of the response
  std::chrono::milliseconds stop_grace{};  ///< how long a stop waits for the response
};

struct HttpReply {
  /// What became of it below HTTP. `broken`: connection or time-out, worth another try; `unusable`:
  /// another try would end the same (certificate, protocol, a body too large).
  enum class Transport { ok, broken, unusable, stopped };

  Transport transport = Transport::broken;
  std::string problem;    ///< unless ok
  bool was_sent = false;  ///< all of the request: it may be charged for though no answer came
  int status = 0;         ///< HTTP's
  std::string body;       ///< decompressed
  std::string moved_to;   ///< of a redirect: where it leads
  std::optional<std::chrono::milliseconds> retry_after;
};

/// Some connections, each used by one thread at a time. Thread-safe.
class HttpPool {
 public:
  explicit HttpPool(int n_connections);
  ~HttpPool();

  /// Waits for a free connection, then for the reply. Follows no redirect: key and prompt go to the
  /// address that was given, and to no other.
  HttpReply post(const HttpRequest& request, std::stop_token stop);

 private:
  class Connection;
  std::unique_ptr<Connection> take();
  void give(std::unique_ptr<Connection> connection);

  std::mutex mutex_;
  std::condition_variable free_;
  std::vector<std::unique_ptr<Connection>> idle_;  // protected by mutex_
};

}  // namespace safesail
