#include "formats/byte_stream.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <new>
#include <optional>
#include <string_view>
#include <utility>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
/// A mapped page counts as this process's memory until it is dropped.
constexpr std::size_t kDropEvery = std::size_t{64} << 20;

/// The file's own bytes, given out in pieces from front to back.
class Source {
 public:
  explicit Source(const fs::path& path)
      : file_(path), bytes_(file_->bytes()), where_(path.string()) {}
  Source(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  std::span<const std::byte> next(std::size_t max_bytes) {
    if (file_ && position_ >= next_drop_) {
      file_->drop_pages();
      next_drop_ = position_ + kDropEvery;
    }
    const auto piece = bytes_.subspan(position_, std::min(max_bytes, bytes_.size() - position_));
    position_ += piece.size();
    return piece;
  }

  bool starts_with(std::string_view magic) const { return has(magic, 0); }
  bool has(std::string_view magic, std::size_t at) const {
    return bytes_.size() >= at + magic.size() &&
           std::memcmp(bytes_.data() + at, magic.data(), magic.size()) == 0;
  }
  const std::string& where() const { return where_; }
  std::uint64_t n_bytes() const { return bytes_.size(); }
  std::uint64_t position() const { return position_; }

 private:
  std::optional<MappedFile> file_;
  std::span<const std::byte> bytes_;
  std::string where_;
  std::uint64_t position_ = 0, next_drop_ = kDropEvery;
};

}  // namespace

class ByteStream::Decoder {
 public:
  explicit Decoder(Source source) : source_(std::move(source)) {}
  virtual ~Decoder() = default;
  virtual std::size_t read(std::span<char> out) = 0;

  Source& source() { return source_; }

 protected:
  [[noreturn]] void cut_short(std::string_view packing) const {
    bad_input(source_.where(),
              fmt::format("expected more {} data, got the end of the file", packing),
              "the file is cut short: fetch it again");
  }
  [[noreturn]] void corrupt(std::string_view packing, std::string_view reason) const {
    bad_input(source_.where(),
              fmt::format("expected sound {} data, got an error before byte {} of the file: {}",
                          packing, source_.position(), reason),
              "the file is damaged: fetch it again");
  }

 private:
  Source source_;
};

namespace {

class PlainDecoder final : public ByteStream::Decoder {
 public:
  using Decoder::Decoder;

  std::size_t read(std::span<char> out) override {
    std::size_t n = 0;
    while (n < out.size()) {
      const auto piece = source().next(std::min(kPieceBytes, out.size() - n));
      if (piece.empty()) break;
      std::memcpy(out.data() + n, piece.data(), piece.size());
      n += piece.size();
    }
    return n;
  }
};

/// One gzip member or several behind each other, as `cat a.gz b.gz` makes them.
class GzipDecoder final : public ByteStream::Decoder {
 public:
  explicit GzipDecoder(Source packed) : Decoder(std::move(packed)) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&zlib_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipDecoder() override { inflateEnd(&zlib_); }

  std::size_t read(std::span<char> out) override {
    std::size_t n = 0;
    while (n < out.size()) {
      if (zlib_.avail_in == 0) {
        const auto piece = source().next(kPieceBytes);
        // zlib promises not to write through next_in; its type is from before const.
        zlib_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(piece.data()));
        zlib_.avail_in = static_cast<uInt>(piece.size());
        if (piece.empty() && !in_member_) break;
      }
      in_member_ = true;
      const auto room = static_cast<uInt>(std::min(out.size() - n, kPieceBytes));
      zlib_.next_out = reinterpret_cast<Bytef*>(out.data() + n);
      zlib_.avail_out = room;
      const int status = inflate(&zlib_, Z_NO_FLUSH);
      n += room - zlib_.avail_out;
      if (status == Z_STREAM_END) {
        in_member_ = false;
        inflateReset(&zlib_);
      } else if (status == Z_BUF_ERROR) {
        cut_short("gzip");  // neither input nor output was left to go on with: the input ended
      } else if (status == Z_MEM_ERROR) {
        throw std::bad_alloc();
      } else if (status != Z_OK) {
        corrupt("gzip", zlib_.msg != nullptr ? zlib_.msg : "a dictionary is needed");
      }
    }
    return n;
  }

 private:
  z_stream zlib_{};
  bool in_member_ = false;
};

/// One zstd frame or several, skippable ones among them.
class ZstdDecoder final : public ByteStream::Decoder {
 public:
  explicit ZstdDecoder(Source packed) : Decoder(std::move(packed)), zstd_(ZSTD_createDStream()) {
    if (zstd_ == nullptr) throw std::bad_alloc();
  }

  std::size_t read(std::span<char> out) override {
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos < to.size) {
      if (in_.pos == in_.size) {
        const auto piece = source().next(kPieceBytes);
        in_ = {piece.data(), piece.size(), 0};
        if (piece.empty() && !in_frame_) break;
      }
      const std::size_t before = to.pos;
      const bool is_last = in_.size == 0;
      const std::size_t status = ZSTD_decompressStream(zstd_.get(), &to, &in_);
      if (ZSTD_isError(status)) refuse(status);
      in_frame_ = status != 0;
      if (is_last && in_frame_ && to.pos == before) cut_short("zstd");
    }
    return to.pos;
  }

 private:
  [[noreturn]] void refuse(std::size_t status) {
    if (ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge)
      bad_input(source().where(), "expected a zstd window of at most 128 MiB, got a larger one",
                "pack the file again with zstd --long=27 or less");
    corrupt("zstd", ZSTD_getErrorName(status));
  }

  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> zstd_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool in_frame_ = false;
};

bool is_zstd(const Source& source) {
  if (source.starts_with("\x28\xb5\x2f\xfd")) return true;
  // A skippable frame, 0x184D2A5?: what pzstd starts with.
  for (char low = 0x50; low <= 0x5f; ++low)
    if (source.starts_with(std::string{low} + "\x2a\x4d\x18")) return true;
  return false;
}

/// Packings that would otherwise be read as strange text.
void refuse_unknown_packing(const Source& source) {
  using namespace std::string_view_literals;
  constexpr std::array kUnknown = {
      std::pair{"\xfd\x37\x7a\x58\x5a\0"sv, "an xz"}, std::pair{"PK\x03\x04"sv, "a zip"},
      std::pair{"\x04\x22\x4d\x18"sv, "an lz4"},      std::pair{"BZh"sv, "a bzip2"},
      std::pair{"7z\xbc\xaf\x27\x1c"sv, "a 7z"},
  };
  for (const auto& [magic, name] : kUnknown)
    // A text may begin with three letters; bzip2's first block begins with pi.
    if (source.starts_with(magic) && (magic != "BZh" || source.has("1AY&SY", 4)))
      bad_input(source.where(), fmt::format("expected plain, gzip or zstd data, got {} file", name),
                "unpack it first");
}

std::unique_ptr<ByteStream::Decoder> make_decoder(Source source) {
  refuse_unknown_packing(source);
  if (source.starts_with("\x1f\x8b")) return std::make_unique<GzipDecoder>(std::move(source));
  if (is_zstd(source)) return std::make_unique<ZstdDecoder>(std::move(source));
  return std::make_unique<PlainDecoder>(std::move(source));
}

}  // namespace

ByteStream::ByteStream(const fs::path& path) : decoder_(make_decoder(Source(path))) {}
ByteStream::ByteStream(std::span<const std::byte> bytes, std::string where)
    : decoder_(make_decoder(Source(bytes, std::move(where)))) {}
ByteStream::~ByteStream() = default;
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;

std::size_t ByteStream::read(std::span<char> out) {
  return decoder_->read(out);
}

const std::string& ByteStream::where() const {
  return decoder_->source().where();
}

std::uint64_t ByteStream::n_file_bytes() const {
  return decoder_->source().n_bytes();
}

std::uint64_t ByteStream::n_file_bytes_read() const {
  return decoder_->source().position();
}

}  // namespace safesail
