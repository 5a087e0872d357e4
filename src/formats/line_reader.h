// The lines of a file, plain or packed: "\n" or "\r\n", of bounded length.
//
// One thread a reader. After an Error the reader must not be used any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/byte_stream.h"

namespace safesail {

class LineReader {
 public:
  static constexpr std::size_t kDefaultMaxBytes = std::size_t{64} << 20;

  /// A line (without its end) of more than `max_line_bytes` is an input error.
  explicit LineReader(ByteStream stream, std::size_t max_line_bytes = kDefaultMaxBytes);

  /// The next line without its "\n" or "\r\n", valid until the next call; nothing at the end. The
  /// last line needs no line end. A UTF-8 byte order mark at the very start is left out.
  std::optional<std::string_view> next();

  /// Number of the line that next() gave last, from 1.
  std::uint64_t line_number() const { return line_number_; }
  /// "corpus.jsonl.gz:17", for errors about that line.
  std::string where() const;
  const ByteStream& stream() const { return stream_; }

 private:
  std::string_view unread() const;
  bool refill();
  [[noreturn]] void too_long() const;

  ByteStream stream_;
  std::size_t max_line_bytes_;
  std::string buffer_;
  std::size_t begin_ = 0;  // what stands before it is given already
  std::uint64_t line_number_ = 0;
};

}  // namespace safesail
