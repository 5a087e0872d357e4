#include "base/queue.h"

#include <gtest/gtest.h>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/threads.h"

namespace safesail {
namespace {

TEST(BoundedQueue, PassesEverythingFromManyProducersToManyConsumers) {
  constexpr int kProducers = 3, kItems = 500;
  BoundedQueue<int> queue(4);
  std::vector<long> sums(3, 0);
  {
    std::vector<std::jthread> consumers;
    for (long& sum : sums)
      consumers.emplace_back([&queue, &sum] {
        while (const auto item = queue.pop()) sum += *item;
      });
    std::vector<std::jthread> producers;
    for (int p = 0; p < kProducers; ++p)
      producers.emplace_back([&queue] {
        for (int i = 1; i <= kItems; ++i) queue.push(i);
      });
    producers.clear();
    queue.close();
  }
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0L), kProducers * kItems * (kItems + 1) / 2);
}

TEST(BoundedQueue, DrainsAfterClose) {
  BoundedQueue<std::unique_ptr<int>> queue(2);
  queue.push(std::make_unique<int>(5));
  queue.close();
  EXPECT_FALSE(queue.push(std::make_unique<int>(6)));
  EXPECT_EQ(**queue.pop(), 5);
  EXPECT_FALSE(queue.pop());
}

TEST(BoundedQueue, FailureReachesBothSides) {
  BoundedQueue<int> queue(1);
  queue.push(1);
  std::jthread blocked([&] { EXPECT_THROW(queue.push(2), std::runtime_error); });
  queue.fail(std::make_exception_ptr(std::runtime_error("producer died")));
  blocked.join();
  EXPECT_THROW(queue.pop(), std::runtime_error);
}

TEST(ParallelFor, CoversEveryIndexOnceAndRethrows) {
  for (std::size_t n : {0, 1, 7, 1000}) {
    std::vector<int> seen(n, 0);
    parallel_for(n, 3, 4, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) ++seen[i];
    });
    EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), std::size_t{0}), n);
  }
  EXPECT_THROW(
      parallel_for(10, 1, 2, [](std::size_t, std::size_t) { throw std::runtime_error("x"); }),
      std::runtime_error);
}

}  // namespace
}  // namespace safesail
