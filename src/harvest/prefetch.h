// Runs a BlockSource in a thread of its own, through a bounded queue, so that the model computes
// the next block while the SAEs learn from this one.
#pragma once

#include <memory>
#include <optional>
#include <thread>

#include "base/queue.h"
#include "harvest/block.h"

namespace safesail {

/// `source` must outlive this object and not be used by others meanwhile. An exception in the
/// source comes out of next().
class Prefetcher {
 public:
  /// At most `capacity` finished blocks wait in the queue.
  Prefetcher(BlockSource& source, std::size_t capacity);
  ~Prefetcher();
  std::optional<ActivationBlock> next();

 private:
  BoundedQueue<ActivationBlock> queue_;
  std::jthread thread_;
};

}  // namespace safesail
