#include "base/utf8.h"

#include <gtest/gtest.h>

namespace safesail {
namespace {

TEST(Utf8, TakesTheBordersOfEveryLength) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("\0", 1), std::string_view("\x7f"),
        std::string_view("\u0080"), std::string_view("\u07ff"), std::string_view("\u0800"),
        std::string_view("\ud7ff"), std::string_view("\ue000"), std::string_view("\uffff"),
        std::string_view("\U00010000"), std::string_view("\U0010ffff"), std::string_view("aé€😀z")})
    EXPECT_TRUE(is_utf8(text)) << text;
}

TEST(Utf8, RefusesTheRest) {
  for (const std::string_view text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x80\x80", "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82", "\xe2\x82(", "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xf0\x9f\x98"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

TEST(TerminalText, HoldsNothingThatATerminalObeys) {
  EXPECT_EQ(terminal_text("a\x1b]0;x\x07 b\r\x7f\u009b2J"), "a ]0;x  b   2J");
  EXPECT_EQ(terminal_text("\u202etxt\u2066\u2028"), " txt  ");
  EXPECT_EQ(terminal_text("line\n\ttab"), "line\n\ttab");
  // Writing that joins or turns by itself stays: Hindi, Arabic, emoji.
  for (const char* text :
       {"\u0915\u094d\u200d\u0937", "\u0627\u200f", "\U0001f469\u200d\U0001f4bb", "中文"})
    EXPECT_EQ(terminal_text(text), text);
  EXPECT_EQ(terminal_text("a\xff\xe2\x82z\xc3"), "a\uFFFD\uFFFD\uFFFDz\uFFFD");
}

TEST(TerminalText, IsCutBetweenCharacters) {
  EXPECT_EQ(terminal_line("a\nb\tc"), "a b c");
  EXPECT_EQ(terminal_line("中文字", 2), "中文...");
  EXPECT_EQ(terminal_line("中文字", 3), "中文字");
  EXPECT_EQ(terminal_line("", 0), "");
}

}  // namespace
}  // namespace safesail
