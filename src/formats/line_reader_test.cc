#include "formats/line_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

#include "base/error.h"
#include "formats/test_files.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines_of(std::string_view text, std::size_t max_line_bytes = 100) {
  LineReader reader(ByteStream(bytes_of(text), "file"), max_line_bytes);
  std::vector<std::string> lines;
  while (const auto line = reader.next()) {
    lines.emplace_back(*line);
    EXPECT_EQ(reader.line_number(), lines.size());
  }
  EXPECT_FALSE(reader.next().has_value()) << "the end must stay the end";
  return lines;
}

TEST(LineReader, KnowsBothLineEndsAndALastLineWithout) {
  EXPECT_THAT(lines_of(""), IsEmpty());
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
  EXPECT_THAT(lines_of("a\nb"), ElementsAre("a", "b"));
  EXPECT_THAT(lines_of("a\nb\n"), ElementsAre("a", "b"));
  EXPECT_THAT(lines_of("a\r\n\r\nb\r\n"), ElementsAre("a", "", "b"));
  EXPECT_THAT(lines_of("a\rb\n\n"), ElementsAre("a\rb", ""));
}

TEST(LineReader, LeavesOutAByteOrderMarkAtTheStartOnly) {
  EXPECT_THAT(lines_of("\xef\xbb\xbf{}\n\xef\xbb\xbf"), ElementsAre("{}", "\xef\xbb\xbf"));
}

TEST(LineReader, KeepsNulBytes) {
  EXPECT_THAT(lines_of(std::string_view("a\0b\n", 4)), ElementsAre(std::string("a\0b", 3)));
}

TEST(LineReader, LinesLongerThanItsChunksArriveWhole) {
  const std::string a(3'000'000, 'a'), b(300'000, 'b');
  EXPECT_THAT(lines_of(a + "\n" + b + "\n" + a, 3'000'000), ElementsAre(a, b, a));
}

TEST(LineReader, RefusesALineAboveItsLimitAndSaysWhere) {
  EXPECT_THAT(lines_of("12345\r\n12345", 5), ElementsAre("12345", "12345"));
  for (const char* text : {"1\n123456\n", "1\n123456", "1\n123456\r\n", "1\n1234567890"})
    EXPECT_THAT(error_of([&] { lines_of(text, 5); }), HasSubstr("file:2: expected lines")) << text;
}

TEST(LineReader, AnEndlessLineDoesNotFillTheMemory) {
  // 64 MiB without a line end: refused after the first chunk beyond the limit.
  const std::string text(std::size_t{64} << 20, 'x');
  LineReader reader(ByteStream(bytes_of(text), "file"), 1000);
  EXPECT_THROW(reader.next(), Error);
  EXPECT_LT(reader.stream().n_file_bytes_read(), std::uint64_t{1} << 20);
}

TEST(LineReader, NamesFileAndLine) {
  LineReader reader(ByteStream(bytes_of("a\nb\n"), "corpus.txt"));
  reader.next();
  reader.next();
  EXPECT_EQ(reader.where(), "corpus.txt:2");
}

}  // namespace
}  // namespace safesail
