#include "formats/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/zip_testing.h"

namespace safesail {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kLong(5000, 'a');

std::string error_of_zip(const std::string& file) {
  return error_of([&] { ZipArchive(bytes_of(file), "a.zip"); });
}

std::string content(const ZipArchive& zip, std::string_view name) {
  const auto bytes = zip.unpack(name, 1 << 20);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Zip, ReadsStoredAndDeflatedEntries) {
  const std::string file = zip_of({stored_entry("a", "hello"), deflated_entry("b/c", kLong),
                                   stored_entry("empty", ""), deflated_entry("empty2", "")});
  const ZipArchive zip(bytes_of(file), "a.zip");
  EXPECT_EQ(zip.entries().size(), 4u);
  EXPECT_EQ(content(zip, "a"), "hello");
  EXPECT_EQ(zip.stored("a").size(), 5u);
  EXPECT_EQ(content(zip, "b/c"), kLong);
  EXPECT_EQ(content(zip, "empty"), "");
  EXPECT_EQ(content(zip, "empty2"), "");
  EXPECT_EQ(zip.peek("b/c", 7).size(), 7u);
  EXPECT_EQ(zip.peek("a", 100).size(), 5u);
  EXPECT_EQ(zip.find("c"), nullptr);
  EXPECT_THAT(error_of([&] { zip.stored("b/c"); }), HasSubstr("deflated"));
  EXPECT_THAT(error_of([&] { zip.stored("x"); }), AllOf(HasSubstr("a.zip"), HasSubstr("nearest")));
  EXPECT_THAT(error_of([&] { zip.unpack("b/c", 4999); }), HasSubstr("at most"));
}

TEST(Zip, ReadsAnEmptyArchiveAndAComment) {
  EXPECT_TRUE(ZipArchive(bytes_of(zip_of({})), "a.zip").entries().empty());
  std::string file = zip_of({stored_entry("a", "x")});
  file[file.size() - 2] = 3;
  EXPECT_EQ(content(ZipArchive(bytes_of(file + "abc"), "a.zip"), "a"), "x");
}

TEST(Zip, ACutAtEveryByteIsAnError) {
  const std::string file = zip_of({stored_entry("a", "hello"), deflated_entry("b", kLong)});
  for (std::size_t n = 0; n < file.size(); ++n)
    EXPECT_THAT(error_of_zip(file.substr(0, n)), HasSubstr("a.zip")) << n;
  EXPECT_THAT(error_of_zip(file + "x"), HasSubstr("directory at its end"));
  EXPECT_THAT(error_of_zip("x" + file), HasSubstr("directory that ends at byte"));
}

TEST(Zip, AnyDamagedByteIsAnErrorOrTheSameContent) {
  const std::string file = zip_of({stored_entry("a", "hello"), deflated_entry("b", kLong)});
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        const ZipArchive zip(bytes_of(damaged), "a.zip");
        for (const auto& [name, entry] : zip.entries()) {
          const std::string got = content(zip, name);
          EXPECT_TRUE(got == "hello" || got == kLong) << i;
        }
      } catch (const Error&) {
      }
    }
  }
}

TEST(Zip, RefusesWrongChecksums) {
  TestEntry stored = stored_entry("a", "hello"), deflated = deflated_entry("b", kLong);
  stored.crc ^= 1;
  deflated.crc ^= 1;
  const std::string file = zip_of({stored, deflated});
  const ZipArchive zip(bytes_of(file), "a.zip");
  EXPECT_THAT(error_of([&] { zip.stored("a"); }), HasSubstr("checksum"));
  EXPECT_THAT(error_of([&] { zip.unpack("a", 100); }), HasSubstr("checksum"));
  EXPECT_THAT(error_of([&] { zip.unpack("b", 5000); }),
              AllOf(HasSubstr("checksum"), HasSubstr("entry \"b\"")));
}

TEST(Zip, RefusesBombs) {
  // Declares what its bytes cannot hold: refused before anything is unpacked or allocated.
  TestEntry bomb = deflated_entry("b", kLong);
  bomb.size = 4'000'000'000u;
  EXPECT_THAT(error_of_zip(zip_of({bomb})), HasSubstr("expected a size that"));
  // Unpacks to more, and to less, than it declares.
  for (const std::uint32_t size : {4999u, 5001u, 10u, 0u}) {
    TestEntry liar = deflated_entry("b", kLong);
    liar.size = size;
    const std::string file = zip_of({liar});
    const ZipArchive zip(bytes_of(file), "a.zip");
    EXPECT_THAT(error_of([&] { zip.unpack("b", 1 << 20); }), HasSubstr("stream")) << size;
  }
  TestEntry stored = stored_entry("a", "hello");
  stored.size = 4'000'000'000u;
  EXPECT_THAT(error_of_zip(zip_of({stored})), HasSubstr("expected a size that"));
}

TEST(Zip, RefusesOverlaps) {
  // Both entries of the directory point at one local header, the trick of the densest bombs.
  const TestEntry entry = stored_entry("aa", "hello");
  const std::uint32_t n_entry = 30 + 2 + 5;
  EXPECT_THAT(error_of_zip(zip_of({entry, stored_entry("aa", "hello")}, 1, 0)), HasSubstr("twice"));
  TestEntry other = stored_entry("bb", "hello");
  std::string file = zip_of({entry, other}, 1, 0u - n_entry);
  EXPECT_THAT(error_of_zip(file), HasSubstr("both of its headers"));
  // A quoted local header inside another entry's data.
  const std::string inner = zip_of({other}).substr(0, n_entry);
  file = zip_of({stored_entry("aa", inner), other}, 1, 0u - n_entry);
  EXPECT_THAT(error_of_zip(file), HasSubstr("overlap"));
}

TEST(Zip, RefusesWhatItDoesNotKnow) {
  TestEntry entry = stored_entry("a", "hello");
  entry.method = 12;
  EXPECT_THAT(error_of_zip(zip_of({entry})), HasSubstr("method 12"));
  entry = stored_entry("a", "hello");
  entry.flags = 1;
  EXPECT_THAT(error_of_zip(zip_of({entry})), HasSubstr("encrypted"));
  entry.flags = 0;
  entry.local_name = "b";
  EXPECT_THAT(error_of_zip(zip_of({entry})), HasSubstr("both of its headers"));
  EXPECT_THAT(error_of_zip(zip_of({stored_entry("a", "x")}, 0, 1000)),
              HasSubstr("local header at byte 1000"));
  std::string split = zip_of({stored_entry("a", "x")});
  split[split.size() - 18] = 1;
  EXPECT_THAT(error_of_zip(split), HasSubstr("split"));
}

TEST(Zip, WhatIsWrittenIsReadAsZip64) {
  const TempFolder folder;
  const fs::path path = folder / "a.zip";
  {
    ZipWriter writer(path);
    writer.add("a", "hello");
    writer.add("folder/b", kLong);
    writer.add("empty", "");
    writer.commit();
  }
  const std::string file = read_file(path, 1 << 20);
  const ZipArchive zip(bytes_of(file), "a.zip");
  EXPECT_EQ(content(zip, "a"), "hello");
  EXPECT_EQ(content(zip, "folder/b"), kLong);
  EXPECT_EQ(content(zip, "empty"), "");
  for (const char* name : {"a", "folder/b", "empty"})
    EXPECT_EQ((zip.stored(name).data() - bytes_of(file).data()) % 64, 0) << name;
  for (std::size_t n = 0; n < file.size(); ++n)
    EXPECT_THAT(error_of_zip(file.substr(0, n)), HasSubstr("a.zip")) << n;
  // The zip64 record must lie where the locator says.
  std::string damaged = file;
  damaged[file.size() - 22 - 12] ^= 1;
  EXPECT_THAT(error_of_zip(damaged), HasSubstr("zip64 end record"));
}

}  // namespace
}  // namespace safesail
