#include "formats/csv.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace safesail {
namespace {

using Rows = std::vector<std::vector<std::string>>;

TEST(Csv, ReadsWhatRfc4180Allows) {
  const CsvTable table = parse_csv(
      "\xEF\xBB\xBFid,text,note\r\n1,\"a, \"\"b\"\"\nc\",\r\n\n2,plain,\"\"\n3,,x", "t.csv");
  EXPECT_EQ(table.columns, (std::vector<std::string>{"id", "text", "note"}));
  EXPECT_EQ(table.rows, (Rows{{"1", "a, \"b\"\nc", ""}, {"2", "plain", ""}, {"3", "", "x"}}));
  EXPECT_EQ(table.lines, (std::vector<std::size_t>{2, 5, 6}));
  EXPECT_EQ(table.column("text"), 1U);
  EXPECT_FALSE(table.column("none"));
}

TEST(Csv, AFieldMayBeEmptyAtTheEnd) {
  EXPECT_EQ(parse_csv("a,b\n1,", "t").rows, (Rows{{"1", ""}}));
}

TEST(Csv, BadRowsAreNamed) {
  for (const auto& [text, where] :
       {std::pair{"a,b\n1,2\n1,2,3\n", "t.csv:3"}, std::pair{"a,b\n\"1,2\n", "t.csv:2"},
        std::pair{"a\n\"1\"x\n", "t.csv:2"}, std::pair{"", "t.csv"}}) {
    try {
      parse_csv(text, "t.csv");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), where);
    }
  }
}

TEST(Csv, OtherTablesAreReadOrNamed) {
  EXPECT_EQ(parse_csv("a\tb\n1,2\t\"x\ty\"\n", "t.tsv", '\t').rows, (Rows{{"1,2", "x\ty"}}));
  using namespace std::string_literals;
  for (const auto& [text, word] :
       {std::pair{"a;b\n1;2\n"s, "semicolons"}, std::pair{"\"a\";\"b\"\n"s, "semicolons"},
        std::pair{"a\tb\n1\t2\n"s, "got tabs"},
        std::pair{"\xff\xfe"
                  "a\0,\0"s,
                  "UTF-16"},
        std::pair{"\0a\0,"s, "UTF-16"}}) {
    try {
      parse_csv(text, "t.csv");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(parse_csv("only\n1;2\n", "t").rows, (Rows{{"1;2"}}));
}

// Every prefix of a table is read or refused, never worse.
TEST(Csv, TruncatedAnywhere) {
  const std::string text = "id,text\n1,\"a \"\"q\"\"\nb\"\n2,c\n";
  for (std::size_t n = 0; n < text.size(); ++n) {
    try {
      parse_csv(text.substr(0, n), "t");
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
    }
  }
}

}  // namespace
}  // namespace safesail
