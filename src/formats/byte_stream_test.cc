#include "formats/byte_stream.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"
#include "base/rng.h"
#include "formats/test_files.h"

namespace safesail {
namespace {

using testing::HasSubstr;

std::string gzip(std::string_view text) {
  z_stream zlib{};
  EXPECT_EQ(deflateInit2(&zlib, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&zlib, text.size()), '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
  zlib.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&zlib, Z_FINISH), Z_STREAM_END);
  packed.resize(zlib.total_out);
  deflateEnd(&zlib);
  return packed;
}

std::string zstd(std::string_view text) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);  // as the zstd program does
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  const std::size_t n =
      ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size());
  EXPECT_FALSE(ZSTD_isError(n));
  packed.resize(n);
  ZSTD_freeCCtx(context);
  return packed;
}

/// All of the stream, read in pieces of `piece` bytes.
std::string unpacked(std::string_view bytes, std::size_t piece = 1000) {
  ByteStream stream(bytes_of(bytes), "file");
  std::string text, buffer(piece, '\0');
  for (;;) {
    const std::size_t n = stream.read(buffer);
    text.append(buffer, 0, n);
    if (n < piece) break;
  }
  EXPECT_EQ(stream.read(buffer), 0u) << "the end must stay the end";
  return text;
}

/// Text that packs badly (so that packed pieces are many) of `n` bytes.
std::string random_text(std::size_t n) {
  Rng rng(7, "text");
  std::string text(n, '\0');
  for (char& c : text) c = static_cast<char>('!' + rng.below(90));
  return text;
}

TEST(ByteStream, ReadsPlainGzipAndZstdAlikeInAnyPieces) {
  for (const std::size_t size : {0, 1, 2, 999, 1000, 1001, 3'000'000}) {
    const std::string text = random_text(size);
    for (const std::size_t piece : {std::size_t{1000}, std::size_t{7}, std::size_t{5'000'000}}) {
      if (size > 10'000 && piece == 7) continue;
      EXPECT_EQ(unpacked(text, piece), text) << size;
      EXPECT_EQ(unpacked(gzip(text), piece), text) << size;
      EXPECT_EQ(unpacked(zstd(text), piece), text) << size;
    }
  }
}

TEST(ByteStream, TellsThePackingByContentNotByName) {
  const TempFolder folder;
  write_file(folder / "plain.gz", "hello");
  write_file(folder / "packed.txt", gzip("hello"));
  for (const char* name : {"plain.gz", "packed.txt"}) {
    ByteStream stream(folder / name);
    std::string text(100, '\0');
    text.resize(stream.read(text));
    EXPECT_EQ(text, "hello") << name;
    EXPECT_EQ(stream.n_file_bytes_read(), stream.n_file_bytes()) << name;
  }
}

TEST(ByteStream, ReadsMembersAndFramesBehindEachOther) {
  EXPECT_EQ(unpacked(gzip("one ") + gzip("") + gzip("two")), "one two");
  EXPECT_EQ(unpacked(zstd("one ") + zstd("") + zstd("two")), "one two");
  const std::string skippable("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
  EXPECT_EQ(unpacked(skippable + zstd("one")), "one");
}

TEST(ByteStream, ACutAnywhereIsAnError) {
  const std::string text = random_text(300);
  // From 4 bytes on: less than the magic number is plain text.
  for (const std::string& packed : {gzip(text), zstd(text)})
    for (std::size_t n = 4; n < packed.size(); ++n)
      EXPECT_THAT(error_of([&] { unpacked(packed.substr(0, n)); }), HasSubstr("cut short")) << n;
}

TEST(ByteStream, ADamagedByteIsAnErrorOrChangesNothing) {
  const std::string text = random_text(300);
  for (const std::string& packed : {gzip(text), zstd(text)}) {
    std::size_t n_errors = 0;
    // From 4 bytes on: without its magic number a file is plain text.
    for (std::size_t i = 4; i < packed.size(); ++i) {
      std::string damaged = packed;
      damaged[i] ^= 0x55;
      try {
        EXPECT_EQ(unpacked(damaged), text) << "byte " << i;  // gzip's time may say anything
      } catch (const Error&) {
        ++n_errors;
      }
    }
    EXPECT_GT(n_errors, packed.size() - 15);
  }
}

TEST(ByteStream, BytesBehindTheEndAreAnError) {
  EXPECT_THAT(error_of([] { unpacked(gzip("one") + "rest"); }), HasSubstr("gzip"));
  EXPECT_THAT(error_of([] { unpacked(zstd("one") + "rest"); }), HasSubstr("zstd"));
}

TEST(ByteStream, RefusesAWindowThatWouldNeedMuchMemory) {
  const auto frame = [](int window_log) {
    return std::string("\x28\xb5\x2f\xfd\0", 5) + static_cast<char>((window_log - 10) << 3) +
           std::string("\x29\0\0small", 8);  // one last, raw block of five bytes
  };
  EXPECT_EQ(unpacked(frame(27)), "small");
  EXPECT_THAT(error_of([&] { unpacked(frame(28)); }), HasSubstr("--long=27"));
}

TEST(ByteStream, NamesPackingsItDoesNotKnow) {
  EXPECT_THAT(error_of([] { unpacked(std::string_view("\xfd\x37\x7a\x58\x5a\0..", 8)); }),
              HasSubstr("an xz file"));
  EXPECT_THAT(error_of([] { unpacked("PK\x03\x04...."); }), HasSubstr("a zip file"));
}

}  // namespace
}  // namespace safesail
