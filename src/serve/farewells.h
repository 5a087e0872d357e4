// Connections whose last answer is sent, kept open for a moment: closing one while its client still
// sends would reset it, and destroy the answer on its way.
//
// Has a thread of its own, so that the one that accepts need not wait. add() from any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "serve/http_connection.h"

namespace safesail {

class Farewells {
 public:
  Farewells();
  /// Closes all of them.
  ~Farewells() = default;

  /// Beyond a thousand it is closed at once.
  void add(std::unique_ptr<HttpConnection> connection);

 private:
  using Connections = std::vector<std::unique_ptr<HttpConnection>>;
  void work(const std::stop_token& stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Connections added_;  ///< protected by mutex_
  std::size_t n_open_ = 0;
  std::jthread thread_;  // last: it uses all the others
};

}  // namespace safesail
