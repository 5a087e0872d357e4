#include "formats/line_reader.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "base/units.h"

namespace safesail {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{256} << 10;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

LineReader::LineReader(ByteStream stream, std::size_t max_line_bytes)
    : stream_(std::move(stream)), max_line_bytes_(max_line_bytes) {}

std::optional<std::string_view> LineReader::next() {
  std::size_t scanned = 0;
  std::size_t end = unread().find('\n');
  while (end == std::string_view::npos) {
    scanned = unread().size();
    // A last "\r" may still prove to be part of the line end.
    if (scanned > max_line_bytes_ + 1) too_long();
    if (!refill()) break;
    end = unread().find('\n', scanned);
  }
  if (end == std::string_view::npos && unread().empty()) return std::nullopt;

  std::string_view line = unread().substr(0, end);
  begin_ += std::min(line.size() + 1, unread().size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line_number_ == 0 && line.starts_with(kByteOrderMark))
    line.remove_prefix(kByteOrderMark.size());
  if (line.size() > max_line_bytes_) too_long();
  ++line_number_;
  return line;
}

std::string LineReader::where() const {
  return fmt::format("{}:{}", stream_.where(), line_number_);
}

std::string_view LineReader::unread() const {
  return std::string_view(buffer_).substr(begin_);
}

/// Moves what is unread to the front and reads more behind it; false at the end of the stream. The
/// amount grows with a long line, so that moving it costs little.
bool LineReader::refill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  const std::size_t old_size = buffer_.size();
  buffer_.resize(old_size + std::max(kChunkBytes, old_size));
  const std::size_t n = stream_.read(std::span(buffer_).subspan(old_size));
  buffer_.resize(old_size + n);
  return n > 0;
}

void LineReader::too_long() const {
  bad_input(
      fmt::format("{}:{}", stream_.where(), line_number_ + 1),
      fmt::format("expected lines of at most {}, got a longer one", human_bytes(max_line_bytes_)),
      "check that this is a text file; split the line if it is");
}

}  // namespace safesail
