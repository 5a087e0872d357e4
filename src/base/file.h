// Files: memory-mapped reading, atomic writing, and what the disk still has room for.
//
// Every function throws Error with the path in it. Nothing here is shared between threads; distinct
// objects may be used from distinct threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace safesail {

namespace fs = std::filesystem;

/// A read-only view of a whole file, mapped for its lifetime. Move-only. Reading is as cheap as
/// memory once the pages are in the page cache; an empty file gives an empty span. A git-lfs
/// pointer in place of a file is an input error that says so, here for every reader. The file must
/// not be truncated by another process while it is mapped.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const fs::path& path() const noexcept { return path_; }

  /// Tells the kernel that the pages are not needed soon (they stay valid, and are read again on
  /// use).
  void drop_pages() const noexcept;

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Writes a file that appears under its name whole or not at all: bytes go to
/// `<path>.partial.<random_name()>`, commit() syncs them to the disk and renames. A destructor
/// without commit() removes the partial file.
class AtomicFile {
 public:
  /// Creates the parent folders too.
  explicit AtomicFile(const fs::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void commit();

 private:
  fs::path path_, partial_;
  int fd_ = -1;
};

/// The whole file as a string; more than `max_bytes` is an input error.
std::string read_file(const fs::path& path, std::uint64_t max_bytes);

/// AtomicFile in one call.
void write_file(const fs::path& path, std::string_view text);

constexpr const char* kRemoved = ".removed";

/// Removes a file or a folder, if it is there. Killed at any moment it leaves all of it or nothing
/// under that name, at worst a rest as `<path>.removed`, which the next call removes.
void remove_whole(const fs::path& path);

/// Bytes that this user may still write on the file system of `path` (or of its nearest existing
/// parent).
std::uint64_t free_disk_bytes(const fs::path& path);

/// Throws unless `needed` bytes fit on the disk of `path`; `what` names them ("activations").
void require_disk(const fs::path& path, std::uint64_t needed, std::string_view what);

}  // namespace safesail
