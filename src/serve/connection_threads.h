// The threads that serve connections, one each: started as they are needed, up to a limit, beyond
// which connections wait, up to another limit.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <httplib.h>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace safesail {

class ConnectionThreads final : public httplib::TaskQueue {
 public:
  ConnectionThreads(std::size_t max_threads, std::size_t max_waiting)
      : max_threads_(max_threads), max_waiting_(max_waiting) {}

  /// Nothing in older httplibs, in newer ones whether `serve` will run: always.
  using Enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));

  /// Where too many wait already, `serve` runs here and now, on the thread that accepts.
  Enqueued enqueue(std::function<void()> serve) override;
  /// Waits for all of them.
  void shutdown() override;
  /// Whether there are more connections than threads.
  bool others_wait() const;

 private:
  void work();

  const std::size_t max_threads_, max_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Protected by mutex_:
  std::deque<std::function<void()>> waiting_;
  std::size_t n_open_ = 0;  ///< connections that wait or are served
  bool ends_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace safesail
