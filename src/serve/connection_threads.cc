#include "serve/connection_threads.h"

#include <system_error>
#include <utility>

namespace safesail {

ConnectionThreads::Enqueued ConnectionThreads::enqueue(std::function<void()> serve) {
  {
    const std::scoped_lock lock(mutex_);
    if (n_open_ < max_threads_ + max_waiting_) {
      ++n_open_;
      if (n_open_ > threads_.size() && threads_.size() < max_threads_) {
        try {
          threads_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
          if (threads_.empty()) throw;  // else those that there are must do
        }
      }
      waiting_.push_back(std::move(serve));
      wake_.notify_one();
      return static_cast<Enqueued>(true);
    }
  }
  serve();
  return static_cast<Enqueued>(true);
}

void ConnectionThreads::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return ends_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::function<void()> serve = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    serve();
    lock.lock();
    --n_open_;
  }
}

void ConnectionThreads::shutdown() {
  {
    const std::scoped_lock lock(mutex_);
    ends_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ConnectionThreads::others_wait() const {
  const std::scoped_lock lock(mutex_);
  return n_open_ > threads_.size();
}

}  // namespace safesail
