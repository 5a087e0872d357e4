#include "base/file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/random_name.h"
#include "base/units.h"

namespace safesail {
namespace {

std::string system_reason() {
  return std::strerror(errno);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void write_all(int fd, const char* data, std::size_t n, const fs::path& path) {
  while (n > 0) {
    const ssize_t written = ::write(fd, data, n);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      failed(path.string(), "cannot write: " + system_reason(), "free some space, then run again");
    data += written;
    n -= static_cast<std::size_t>(written);
  }
}

void sync_parent(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  Descriptor dir(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // A file system that cannot sync a folder still has the renamed file; that is the best it offers.
  if (dir.get() >= 0) (void)::fsync(dir.get());
}

/// What a clone without git-lfs leaves in place of each large file begins with.
constexpr std::string_view kLfsPointer = "version https://git-lfs.github.com/spec/";

}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0)
    bad_input(path.string(), "cannot open: " + system_reason(),
              "check the path and its permissions");
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    bad_input(path.string(), "expected a regular file", "name a file, not a folder or a device");
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (address == MAP_FAILED)
    failed(path.string(), "cannot map: " + system_reason(), "check the memory limits (ulimit -v)");
  if (std::string_view(static_cast<const char*>(address), size_).starts_with(kLfsPointer)) {
    ::munmap(address, size_);
    bad_input(path.string(), "expected the file itself, got a git-lfs pointer to it",
              "run \"git lfs pull\" in its folder, or download the file");
  }
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::drop_pages() const noexcept {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

AtomicFile::AtomicFile(const fs::path& path)
    : path_(path), partial_(path.string() + ".partial." + random_name()) {
  std::error_code ignored;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), ignored);
  fd_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0)
    failed(path.string(), "cannot create: " + system_reason(),
           "check that the folder exists and may be written");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(partial_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  SAFESAIL_CHECK(fd_ >= 0);
  write_all(fd_, reinterpret_cast<const char*>(bytes.data()), bytes.size(), path_);
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void AtomicFile::commit() {
  SAFESAIL_CHECK(fd_ >= 0);
  if (::fsync(fd_) != 0)
    failed(path_.string(), "cannot sync: " + system_reason(), "free some space, then run again");
  ::close(std::exchange(fd_, -1));
  if (::rename(partial_.c_str(), path_.c_str()) != 0) {
    const std::string reason = system_reason();
    ::unlink(partial_.c_str());
    failed(path_.string(), "cannot rename into place: " + reason, "check the folder's permissions");
  }
  sync_parent(path_);
}

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const MappedFile file(path);
  if (file.bytes().size() > max_bytes)
    bad_input(path.string(),
              fmt::format("expected at most {}, got {}", human_bytes(max_bytes),
                          human_bytes(file.bytes().size())),
              "check that this is the right file");
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void remove_whole(const fs::path& path) {
  const fs::path removed = path.string() + kRemoved;
  std::error_code error;
  fs::remove_all(removed, error);
  if (!error && fs::exists(fs::symlink_status(path))) fs::rename(path, removed, error);
  if (!error) fs::remove_all(removed, error);
  if (error) failed(path.string(), "cannot remove: " + error.message(), "check its permissions");
}

std::uint64_t free_disk_bytes(const fs::path& path) {
  std::error_code error;
  fs::path existing = fs::absolute(path, error);
  while (!existing.empty() && !fs::exists(existing, error) && existing != existing.root_path())
    existing = existing.parent_path();
  const fs::space_info space = fs::space(existing, error);
  if (error)
    failed(path.string(), "cannot ask for free space: " + error.message(), "check the path");
  return space.available;
}

void require_disk(const fs::path& path, std::uint64_t needed, std::string_view what) {
  const std::uint64_t free = free_disk_bytes(path);
  if (needed > free)
    bad_input(path.string(),
              fmt::format("{} need {}, the disk has {} free", what, human_bytes(needed),
                          human_bytes(free)),
              "free some space, name another folder, or ask for fewer tokens or sites");
}

}  // namespace safesail
