#include "interpret/llm_excerpts.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <stdexcept>

namespace safesail {
namespace {

Window window(const std::vector<std::string>& tokens, std::vector<float> activation) {
  Window w;
  w.activation = std::move(activation);
  for (const std::string& token : tokens) {
    w.starts.push_back(static_cast<std::uint32_t>(w.text.size()));
    w.ids.push_back(1);
    w.text += token;
  }
  w.starts.push_back(static_cast<std::uint32_t>(w.text.size()));
  return w;
}

TEST(Excerpts, MarkTokensWithTheirLevels) {
  EXPECT_EQ(text_with_levels(window({"a", " bom", "b", " fell", "."}, {0, 10, 4, 0, 0.01F}), 10),
            "a <<bom|10>><<b|4>> fell.");
  // Two tokens that share a character are one.
  const std::string han = "\u7206";
  EXPECT_EQ(
      text_with_levels(window({han.substr(0, 1), han.substr(1), "\u5f39", "x"}, {3, 7, 0, 0}), 10),
      "<<\u7206|7>>\u5f39x");
  EXPECT_EQ(text_with_levels(window({"a"}, {1}), 0), "a") << "a quantile of 0";
  EXPECT_EQ(text_with_levels(window({"a", han.substr(0, 2)}, {0, 10}), 10),
            "a<<" + han.substr(0, 2) + "|10>>")
      << "a character that is cut at the end";
}

TEST(Excerpts, MarkRanges) {
  EXPECT_EQ(text_with_marks("a red bird sang", {}), "a red bird sang");
  const std::vector<Question::Range> touching = {{1, 5}, {5, 10}, {10, 15}};
  EXPECT_EQ(text_with_marks("a red bird sang", touching), "a <<red bird sang>>");
  const std::vector<Question::Range> apart = {{0, 1}, {5, 10}};
  EXPECT_EQ(text_with_marks("a red bird sang", apart), "<<a>> red <<bird>> sang");
  const std::vector<Question::Range> cut = {{1, 2}};  // inside a character
  EXPECT_EQ(text_with_marks("\u7206x", cut), "<<\u7206>>x");
  const std::vector<Question::Range> beyond = {{3, 9}};
  EXPECT_THROW(text_with_marks("abcd", beyond), std::logic_error);
}

TEST(Excerpts, NoTextForgesAMark) {
  const auto marks = [](std::vector<std::string_view> texts) { return marks_for(texts); };
  EXPECT_EQ(marks({"plain", "a < b > c"}).open, "<<");
  EXPECT_EQ(marks({"plain", "cout << x|9>>;"}).open, "<<<");
  EXPECT_EQ(marks({"plain", "cout << x|9>>;"}).close, ">>>");
  EXPECT_EQ(marks({"cat <<<EOF", "<>", ">>>>>"}).open, "<<<<<<");
  EXPECT_EQ(marks({}).open, "<<");
  const Window code = window({"cout", " <<", " x", "|9>>"}, {0, 0, 10, 0});
  const Marks of_code = marks({code.text});
  EXPECT_EQ(text_with_levels(code, 10, of_code), "cout << <<<x|10>>>|9>>");
  const std::vector<Question::Range> marked = {{8, 9}};
  EXPECT_EQ(text_with_marks(code.text, marked, of_code), "cout << <<<x>>>|9>>");
}

TEST(Excerpts, JsonStringsHoldAnything) {
  EXPECT_EQ(json_string("a \"b\"\n\xff"), "\"a \\\"b\\\"\\n\uFFFD\"");
}

FeatureRecord record() {
  FeatureRecord r;
  r.site = "mlp_out.1";
  r.quantile = 1;
  for (int level = 1; level <= 10; ++level)
    for (int i = 0; i < 5; ++i) {
      const float activation = static_cast<float>(level) / 10;
      r.exemplars.push_back({window({std::to_string(level), std::to_string(i)}, {activation, 0}),
                             Use::explain, i == 0 ? WindowKind::top : WindowKind::level, level});
    }
  for (int i = 0; i < 8; ++i) {
    r.exemplars.push_back({window({"s"}, {0}), Use::explain, WindowKind::silent, 0});
    r.exemplars.push_back({window({"h"}, {0}), Use::explain,
                           i % 2 == 0 ? WindowKind::hard_token : WindowKind::hard_cofiring, 0});
  }
  return r;
}

TEST(Excerpts, AreChosenFromEveryLevel) {
  const FeatureRecord r = record();
  const auto chosen = choose_excerpts(r, {.per_level = 3, .near = 6, .silent = 4}, 1);
  ASSERT_EQ(chosen.size(), 40U);
  for (std::size_t i = 0; i < 30; ++i)
    EXPECT_EQ(chosen[i]->level, 10 - static_cast<int>(i) / 3) << i;
  for (std::size_t i = 30; i < 36; ++i) EXPECT_EQ(chosen[i]->window.text, "h") << i;
  for (std::size_t i = 36; i < 40; ++i) EXPECT_EQ(chosen[i]->window.text, "s") << i;
  EXPECT_EQ(choose_excerpts(r, {.per_level = 3, .near = 6, .silent = 4}, 1), chosen)
      << "the seed decides";
  EXPECT_NE(choose_excerpts(r, {.per_level = 3, .near = 6, .silent = 4}, 2), chosen);
  EXPECT_EQ(choose_excerpts(r, {.per_level = 9, .near = 99, .silent = 99}, 1).size(), 66U)
      << "all there are";
}

TEST(Excerpts, OfAnotherUseAreABug) {
  for (const Use use : {Use::test, Use::calibrate}) {
    FeatureRecord r = record();
    r.exemplars[7].use = use;
    EXPECT_THROW(choose_excerpts(r, {}, 1), std::logic_error);
  }
}

}  // namespace
}  // namespace safesail
