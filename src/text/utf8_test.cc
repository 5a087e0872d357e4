#include "text/utf8.h"

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

}  // namespace
}  // namespace safesail
