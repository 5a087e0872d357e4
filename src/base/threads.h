// Plain data parallelism for rooms that do not use LibTorch's thread pool.
#pragma once

#include <cstddef>
#include <functional>

namespace safesail {

/// Calls body(begin, end) on disjoint pieces of [0, n) on up to `n_threads` threads (0: one a core)
/// and waits. Pieces hold at least `grain` items. The first exception thrown by a piece is rethrown
/// here.
void parallel_for(std::size_t n, std::size_t grain, std::size_t n_threads,
                  const std::function<void(std::size_t, std::size_t)>& body);

}  // namespace safesail
