#include "harvest/prefetch.h"

#include <ATen/ATen.h>
#include <exception>
#include <utility>

namespace safesail {

Prefetcher::Prefetcher(BlockSource& source, std::size_t capacity)
    : queue_(capacity), thread_([this, &source] {
        try {
          while (std::optional<ActivationBlock> block = source.next())
            if (!queue_.push(std::move(*block))) return;
          queue_.close();
        } catch (...) {
          queue_.fail(std::current_exception());
        }
      }) {}

Prefetcher::~Prefetcher() {
  queue_.close();
  thread_.join();
}

std::optional<ActivationBlock> Prefetcher::next() {
  return queue_.pop();
}

}  // namespace safesail
