#include "base/threads.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace safesail {

void parallel_for(std::size_t n, std::size_t grain, std::size_t n_threads,
                  const std::function<void(std::size_t, std::size_t)>& body) {
  if (n == 0) return;
  if (n_threads == 0) n_threads = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t max_pieces =
      (n + std::max<std::size_t>(grain, 1) - 1) / std::max<std::size_t>(grain, 1);
  const std::size_t n_pieces = std::min(n_threads, max_pieces);
  std::mutex mutex;
  std::exception_ptr first_error;
  const auto run = [&](std::size_t piece) {
    try {
      body(n * piece / n_pieces, n * (piece + 1) / n_pieces);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!first_error) first_error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t piece = 1; piece < n_pieces; ++piece) threads.emplace_back(run, piece);
    run(0);
  }
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace safesail
