#include "interpret/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "base/rng.h"
#include "base/utf8.h"

namespace safesail {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(std::string_view text, const std::vector<TextRange>& ranges) {
  std::vector<std::string> parts;
  for (const TextRange range : ranges)
    parts.emplace_back(text.substr(range.begin, range.end - range.begin));
  return parts;
}
std::vector<std::string> segments(std::string_view text, int max_words = kSegmentWords) {
  return texts(text, split_segments(text, max_words));
}
std::vector<std::string> pieces(std::string_view text) {
  std::vector<TextRange> ranges;
  for (const Piece& piece : split_pieces(text)) ranges.push_back(piece.range);
  return texts(text, ranges);
}

TEST(Segments, AreRunsOfAtMostFourWords) {
  EXPECT_THAT(segments("one two three four five six"),
              ElementsAre("one two three four", "five six"));
  EXPECT_THAT(segments("one two three", 1), ElementsAre("one", "two", "three"));
}

TEST(Segments, EndWithTheSentenceOrTheLine) {
  EXPECT_THAT(segments("He ran. She saw it all! Why?"),
              ElementsAre("He ran.", "She saw it all!", "Why?"));
  EXPECT_THAT(segments("a list\nof two\r\n\r\nlines"), ElementsAre("a list", "of two", "lines"));
  EXPECT_THAT(segments("wait... what?! yes"), ElementsAre("wait...", "what?!", "yes"));
}

TEST(Segments, KeepMarksWithWhatTheyAreWrittenTo) {
  EXPECT_THAT(segments("one two three four, (five) six"),
              ElementsAre("one two three four,", "(five) six"));
  EXPECT_THAT(segments("\"Stop.\" \"No.\""), ElementsAre("\"Stop.\"", "\"No.\""));
  EXPECT_THAT(segments("it costs 3.50, don't ask"), ElementsAre("it costs 3.50, don't", "ask"));
}

TEST(Segments, FindWordsInOtherScripts) {
  // Dictionary words: we / study / language / model / of / safety.
  EXPECT_THAT(segments("我们研究语言模型的安全。他说：「好。」然后离开了"),
              ElementsAre("我们研究语言模型", "的安全。", "他说：「好。」", "然后离开了"));
  EXPECT_THAT(segments("यह एक छोटा वाक्य है। दूसरा वाक्य"),
              ElementsAre("यह एक छोटा वाक्य", "है।", "दूसरा वाक्य"));
  EXPECT_THAT(segments("ภาษาไทยไม่มีช่องว่าง", 2).size(), testing::Ge(2u));
  EXPECT_THAT(segments("هل هذا نص عربي قصير؟ نعم"), ElementsAre("هل هذا نص عربي", "قصير؟", "نعم"));
}

TEST(Segments, CountPictographsAsWords) {
  EXPECT_THAT(segments("😀😀👍🏽👨‍👩‍👧 ok"),
              ElementsAre("😀😀👍🏽👨‍👩‍👧", "ok"));
  EXPECT_THAT(segments("🇮🇳🇨🇳🇫🇷", 2), ElementsAre("🇮🇳🇨🇳", "🇫🇷"));
}

TEST(Segments, NothingAndMarksAlone) {
  EXPECT_TRUE(segments("").empty());
  EXPECT_TRUE(segments(" \n\t\u3000 ").empty());
  EXPECT_THAT(segments("--- *** ,;:"), ElementsAre("--- *** ,;:"));
}

TEST(Pieces, AreWordsAndSingleMarks) {
  EXPECT_THAT(pieces("Don't (stop) 1,000 $5…"),
              ElementsAre("Don't", "(", "stop", ")", "1,000", "$", "5", "…"));
}

/// A text of characters that are hard on word breaking: all UTF-8 lengths, marks, joiners, spaces.
std::string random_text(std::uint64_t seed, std::size_t n_characters) {
  static constexpr std::string_view kCharacters[] = {
      "a",  "Z",      "9",      " ",      " ", "\n",   ".",      "'",      "(",    "\"",
      "é",  "\u0301", "\u200d", "\u00a0", "ß", "न",    "\u093f", "।",      "中",   "文",
      "。", "ใ",      "น",      "ก",      "😀", "🏽", "🇮",      "\u2028", "\x01", "🧑"};
  Rng rng(seed, "segment test");
  std::string text;
  for (std::size_t i = 0; i < n_characters; ++i)
    text += kCharacters[rng.below(std::size(kCharacters))];
  return text;
}

// Space is what C++ and Unicode both call so in this alphabet.
bool is_space_at(std::string_view text, std::size_t i) {
  for (const std::string_view space : {" ", "\n", "\u00a0", "\u2028"})
    for (std::size_t k = 0; k < space.size(); ++k)
      if (i >= k && text.substr(i - k, space.size()) == space) return true;
  return false;
}

TEST(Segments, CoverEveryTextInOrder) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string text = random_text(seed, seed == 0 ? 10'000 : 60);
    std::vector<bool> covered(text.size());
    std::uint32_t behind = 0;
    for (const TextRange range : split_segments(text)) {
      ASSERT_LE(behind, range.begin) << text;
      ASSERT_LT(range.begin, range.end) << text;
      behind = range.end;
      EXPECT_TRUE(is_utf8(std::string_view(text).substr(range.begin, range.end - range.begin)));
      for (std::uint32_t i = range.begin; i < range.end; ++i) covered[i] = true;
    }
    for (std::size_t i = 0; i < text.size(); ++i)
      ASSERT_TRUE(covered[i] || is_space_at(text, i)) << "byte " << i << " of " << text;
  }
}

TEST(Segments, CutBytesThatAreNotUtf8SomehowButInBounds) {
  const std::string text = "a \xff\xfe b \xe4\xb8";
  const std::vector<TextRange> ranges = split_segments(text);
  ASSERT_FALSE(ranges.empty());
  EXPECT_EQ(ranges.front().begin, 0U) << "'a' is a word whatever follows";
  for (const TextRange range : ranges) EXPECT_LE(range.end, text.size());
}

Window window_of(const std::vector<std::pair<std::string, float>>& tokens) {
  Window window{.starts = {0}};
  for (const auto& [text, activation] : tokens) {
    window.ids.push_back(0);
    window.text += text;
    window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
    window.activation.push_back(activation);
  }
  return window;
}

TEST(MaxActivations, BelongToTheRangesThatTokensReachInto) {
  const Window window =
      window_of({{"The", 1}, {" bom", 5}, {"bing", 2}, {" of", 0}, {"\n", 7}, {"中", 3}});
  std::vector<TextRange> ranges;
  for (const Piece& piece : split_pieces(window.text)) ranges.push_back(piece.range);
  // The, bombing, of (with the line break behind it), 中
  EXPECT_THAT(max_activations(window, ranges), ElementsAre(1, 5, 7, 3));
  EXPECT_THAT(max_activations(window, {}), ElementsAre());
}

TEST(MaxActivations, TokensThatCutCharactersAndRangesThatCutTokens) {
  // 中文 in tokens of 2 + 4 bytes; "b c" is one token in two ranges.
  const Window window = window_of({{"\xe4\xb8", 1}, {"\xad文", 2}, {" b c", 4}});
  const std::vector<TextRange> ranges = {{0, 3}, {3, 6}, {7, 8}, {9, 10}};
  EXPECT_THAT(max_activations(window, ranges), ElementsAre(2, 2, 4, 4));
}

TEST(MaxActivations, SpaceAtTheVeryBeginningBelongsToTheFirstRange) {
  EXPECT_THAT(max_activations(window_of({{" ", 3}, {"a", 1}}), std::vector<TextRange>{{1, 2}}),
              ElementsAre(3));
}

}  // namespace
}  // namespace safesail
