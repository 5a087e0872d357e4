#include "serve/atlas_pool.h"

#include <chrono>
#include <fmt/format.h>

namespace safesail {

AtlasPool::AtlasPool(const fs::path& path, std::size_t n_connections)
    : watched_(path, Atlas::Mode::read),
      opened_(
          static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count())) {
  for (std::size_t i = 0; i < n_connections; ++i)
    free_.push_back(std::make_unique<Atlas>(path, Atlas::Mode::read));
}

AtlasPool::Loan AtlasPool::lend() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return !free_.empty(); });
  std::unique_ptr<Atlas> atlas = std::move(free_.back());
  free_.pop_back();
  return {*this, std::move(atlas)};
}

AtlasPool::Loan::~Loan() {
  {
    const std::scoped_lock lock(pool_.mutex_);
    pool_.free_.push_back(std::move(atlas_));
  }
  pool_.returned_.notify_one();
}

std::string AtlasPool::version() {
  const std::scoped_lock lock(version_mutex_);
  return fmt::format("{:x}-{:x}", opened_, watched_.database().version());
}

}  // namespace safesail
