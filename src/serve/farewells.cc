#include "serve/farewells.h"

#include <algorithm>
#include <iterator>
#include <poll.h>
#include <utility>

namespace safesail {
namespace {

constexpr std::size_t kMaxOpen = 1000;
constexpr int kBetweenLooksMs = 50;

}  // namespace

Farewells::Farewells() : thread_([this](const std::stop_token& stop) { work(stop); }) {}

void Farewells::add(std::unique_ptr<HttpConnection> connection) {
  {
    const std::scoped_lock lock(mutex_);
    if (n_open_ == kMaxOpen) return;
    ++n_open_;
    connection->end_answers();
    added_.push_back(std::move(connection));
  }
  changed_.notify_one();
}

void Farewells::work(const std::stop_token& stop) {
  Connections open;
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      n_open_ = open.size() + added_.size();
      if (open.empty()) changed_.wait(lock, stop, [&] { return !added_.empty(); });
      std::ranges::move(added_, std::back_inserter(open));
      added_.clear();
    }
    std::vector<pollfd> sockets;
    for (const auto& connection : open) sockets.push_back({connection->socket(), POLLIN, 0});
    ::poll(sockets.data(), sockets.size(), kBetweenLooksMs);
    std::erase_if(open, [](const auto& connection) { return !connection->throw_away(); });
  }
}

}  // namespace safesail
