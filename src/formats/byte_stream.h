// A forward stream of a file's bytes, unpacked on the way: plain, gzip or zstd, told apart by the
// magic number, never by the name.
//
// Memory is bounded whatever the file says: unpacking is streamed, and a zstd window above 128 MiB
// is an input error, as is a packed file that is corrupt or cut short. One thread a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"

namespace safesail {

class ByteStream {
 public:
  explicit ByteStream(const fs::path& path);
  /// Over bytes that outlive the stream; `where` names them in errors.
  ByteStream(std::span<const std::byte> bytes, std::string where);
  ~ByteStream();
  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;

  /// Fills `out` from the front and returns how many bytes it got: fewer than asked only at the
  /// end, then 0.
  std::size_t read(std::span<char> out);

  const std::string& where() const;
  /// Bytes of the file itself (packed, where it is) and how many of them are read: for progress.
  std::uint64_t n_file_bytes() const;
  std::uint64_t n_file_bytes_read() const;

  class Decoder;  ///< the file and its packing; see byte_stream.cc

 private:
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace safesail
