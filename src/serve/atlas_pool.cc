#include "serve/atlas_pool.h"

#include <chrono>
#include <fmt/format.h>
#include <sys/stat.h>
#include <utility>

#include "base/error.h"

namespace safesail {
namespace {

/// Which file is at a path; empty where none is.
std::string file_at(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "";
  return fmt::format("{:x}.{:x}", status.st_dev, status.st_ino);
}

}  // namespace

AtlasPool::AtlasPool(const fs::path& path, std::size_t n_connections)
    : path_(atlas_path(path)),
      watched_(open()),
      opened_(
          static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count())) {
  for (std::size_t i = 0; i < n_connections; ++i) free_.push_back(open());
}

AtlasPool::Connection AtlasPool::open() const {
  std::string file = file_at(path_);
  return {std::make_unique<Atlas>(path_, Atlas::Mode::read), std::move(file)};
}

void AtlasPool::follow(Connection& connection) const {
  const std::string file = file_at(path_);
  if (file.empty() || file == connection.file) return;
  try {
    connection = open();
  } catch (const Error&) {
    // It is not ready: the file that was there answers.
  }
}

AtlasPool::Loan AtlasPool::lend() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return !free_.empty(); });
  Connection lent = std::move(free_.back());
  free_.pop_back();
  lock.unlock();
  follow(lent);
  return {*this, std::move(lent)};
}

AtlasPool::Loan::~Loan() {
  {
    const std::scoped_lock lock(pool_.mutex_);
    pool_.free_.push_back(std::move(lent_));
  }
  pool_.returned_.notify_one();
}

std::string AtlasPool::version() {
  const std::scoped_lock lock(version_mutex_);
  follow(watched_);
  return fmt::format("{:x}-{}-{:x}", opened_, watched_.file, watched_.atlas->database().version());
}

}  // namespace safesail
