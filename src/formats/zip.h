// Zip archives as torch.save and numpy.savez make them: stored and deflated entries, zip64.
//
// Reading looks at the central directory only after proving it sound: every entry lies in the file,
// none overlaps another or the directory, no name comes twice, its local header agrees. An entry's
// size is believed only as far as deflate could have packed it, and its CRC is checked whenever its
// bytes are given out. Encrypted and split archives and other packings are refused by name. The
// archive is a view of bytes that outlive it, and immutable. Writing stores, always as zip64.
// See docs/formats/sae_dialects.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace safesail {

struct ZipEntry {
  bool is_deflated = false;
  std::uint32_t crc = 0;
  std::uint64_t size = 0;             ///< bytes once unpacked, as the directory says
  std::span<const std::byte> packed;  ///< as they lie in the file
};

class ZipArchive {
 public:
  /// `where` names the bytes in errors.
  ZipArchive(std::span<const std::byte> bytes, std::string where);

  const std::string& where() const { return where_; }
  const std::map<std::string, ZipEntry, std::less<>>& entries() const { return entries_; }
  /// Null when there is no such entry.
  const ZipEntry* find(std::string_view name) const;
  /// The bytes of a stored entry, in place. A deflated one is an input error.
  std::span<const std::byte> stored(std::string_view name) const;
  /// A copy of an entry's bytes; more than `max_bytes` is an input error.
  std::vector<std::byte> unpack(std::string_view name, std::uint64_t max_bytes) const;
  /// The first bytes of an entry, at most `n`; unchecked by the CRC, which needs all of them.
  std::vector<std::byte> peek(std::string_view name, std::size_t n) const;

 private:
  const ZipEntry& at(std::string_view name) const;

  std::string where_;
  std::map<std::string, ZipEntry, std::less<>> entries_;
};

/// Writes stored entries into a file that appears at commit(). Entry data starts at multiples of 64
/// bytes, so that readers may map it.
class ZipWriter {
 public:
  explicit ZipWriter(const fs::path& path) : file_(path) {}

  /// `name` is new and shorter than 64 KiB.
  void add(std::string_view name, std::span<const std::byte> bytes);
  void add(std::string_view name, std::string_view text);
  void commit();

 private:
  AtomicFile file_;
  std::string directory_;
  std::uint64_t position_ = 0, n_entries_ = 0;
};

}  // namespace safesail
