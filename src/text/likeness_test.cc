#include "text/likeness.h"

#include <cmath>
#include <gtest/gtest.h>
#include <string>

#include "base/rng.h"

namespace safesail {
namespace {

std::string random_letters(std::size_t n, Rng& rng) {
  std::string letters;
  while (letters.size() < n) letters.push_back(static_cast<char>('a' + rng.below(26)));
  return letters;
}

TEST(Likeness, CaseBlanksAndPunctuationDoNotCount) {
  const std::string text =
      "The committee met on Tuesday, and spoke of the new harbour for an hour.";
  EXPECT_EQ(
      likeness_key(text),
      likeness_key("the committee met on tuesday and spoke\n of the new harbour for an hour"));
  EXPECT_NE(likeness_key(text), likeness_key("The council met on Friday; nobody spoke at all."));
}

TEST(Likeness, ShortAndEmptyTextsHaveKeysToo) {
  EXPECT_EQ(likeness_key("A lamp."), likeness_key("a lamp"));
  EXPECT_NE(likeness_key("a lamp"), likeness_key("a lamb"));
  EXPECT_EQ(likeness_key(""), likeness_key(" ... "));
}

TEST(Likeness, BytesThatAreNoUtf8) {
  EXPECT_EQ(likeness_key("\xBF\xBF\xBF"), likeness_key("\xBF \xBF \xBF"));
  EXPECT_NE(likeness_key(std::string(100, '\x80')), likeness_key(std::string(100, '\xC0')));
}

TEST(Likeness, AShingleIsCharactersNotBytes) {
  // 33 Hindi letters have two shingles; a text of the last 32 shares one of them: J = 1/2. In bytes
  // there would be 68 and 65, nearly all shared.
  int n_equal = 0;
  constexpr int kTexts = 2000;
  Rng rng(4, "hindi");
  for (int i = 0; i < kTexts; ++i) {
    std::string text;
    for (int c = 0; c < 33; ++c) {
      text += "\xE0\xA4";
      text.push_back(static_cast<char>(0x85 + rng.below(53)));
    }
    n_equal += likeness_key(text) == likeness_key(text.substr(3));
  }
  EXPECT_NEAR(n_equal, kTexts / 2, 4 * std::sqrt(kTexts * 0.25)) << "four standard deviations";
}

// Broder's theorem: P(equal keys) = |A and B| / |A or B| over the sets of shingles.
TEST(Likeness, EqualAsOftenAsShinglesAreShared) {
  constexpr int kPairs = 2000;
  Rng rng(3, "likeness");
  for (const std::size_t n_common : {40U, 150U, 290U}) {
    // Both texts have 300 letters, the first n_common of them alike: all random shingles differ.
    const double shared = static_cast<double>(n_common) - 31, all = 2 * 269 - shared;
    const double expected = shared / all;
    int n_equal = 0;
    for (int i = 0; i < kPairs; ++i) {
      const std::string common = random_letters(n_common, rng);
      n_equal += likeness_key(common + random_letters(300 - n_common, rng)) ==
                 likeness_key(common + random_letters(300 - n_common, rng));
    }
    const double deviation = std::sqrt(kPairs * expected * (1 - expected));
    EXPECT_NEAR(n_equal, kPairs * expected, 4 * deviation) << n_common << " letters in common";
  }
}

// A key, as the smallest of 269 hashes, lies nearly always in the lowest hundredth.
TEST(Likeness, DrawsAreUniformAndEachPurposeHasItsOwn) {
  constexpr int kTexts = 2000;
  Rng rng(5, "draws");
  int n_low = 0, n_both_low = 0;
  for (int i = 0; i < kTexts; ++i) {
    const std::uint64_t key = likeness_key(random_letters(300, rng));
    const bool is_low = likeness_draw(key, "one") < 0.1;
    n_low += is_low;
    n_both_low += is_low && likeness_draw(key, "another") < 0.1;
  }
  EXPECT_NEAR(n_low, kTexts * 0.1, 4 * std::sqrt(kTexts * 0.1 * 0.9));
  EXPECT_NEAR(n_both_low, kTexts * 0.01, 4 * std::sqrt(kTexts * 0.01 * 0.99));
}

}  // namespace
}  // namespace safesail
