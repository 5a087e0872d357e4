#include "atlas/search_text.h"

#include <gtest/gtest.h>

#include "atlas/test_support.h"

namespace safesail {
namespace {

TEST(SearchText, SetsCharactersOfSpacelessScriptsApart) {
  EXPECT_EQ(search_text("Bomb THREAT"), "bomb threat");
  EXPECT_EQ(search_text("AI炸弹x"), "ai 炸  弹 x");
  EXPECT_EQ(search_text("ＡＢＣ"), "abc") << "full width";
  EXPECT_EQ(search_text("बम धमाका"), "बम धमाका") << "a Hindi word stays whole";
}

TEST(SearchText, ComposedAndDecomposedAreTheSame) {
  EXPECT_EQ(search_text("caf\u00E9"), search_text("cafe\u0301"));
  EXPECT_EQ(search_text("\u0958"), search_text("\u0915\u093C")) << "qa: ka with nukta";
  EXPECT_EQ(search_text("क्\u200Dष"), search_text("क्ष")) << "a joiner shows, and does not matter";
}

TEST(SearchText, AccentsAreLeftOutWhereAWordIsTheSameWithout) {
  EXPECT_EQ(search_text("Café"), "cafe");
  EXPECT_EQ(search_text("İstanbul"), "istanbul");
  EXPECT_EQ(search_text("Ελλάδα ЁЖ"), "ελλαδα еж");
  EXPECT_EQ(search_text("가방"), " 가  방 ") << "Korean syllables stay composed";
  EXPECT_EQ(search_text("が"), " が ") << "a voiced kana is another kana";
}

TEST(SearchText, LettersOfThaiAndItsKinStandAloneWithTheirMarks) {
  EXPECT_EQ(search_text("เรือab"), " เ รื อ ab");
  EXPECT_EQ(search_text("ship ⛵!"), "ship  symbol26f5 !");
}

TEST(SearchText, QueriesHoldNothingButPhrases) {
  EXPECT_EQ(search_query("bomb threat"), "\"bomb\" \"threat\"");
  EXPECT_EQ(search_query("\"bomb threat\" x"), "\"bomb threat\" \"x\"");
  EXPECT_EQ(search_query("bomb*"), "\"bomb\" *");
  EXPECT_EQ(search_query("a\" OR b NEAR(c) text:d"), "\"a\" \" or b near(c) text:d\"");
  EXPECT_EQ(search_query(" . - * \" "), "");
  EXPECT_EQ(search_query("\xFF\xFE"), "");
}

class Search : public AtlasTest {
 protected:
  void SetUp() override {
    AtlasTest::SetUp();
    atlas_ = std::make_unique<Atlas>(dir_ / "atlas.sqlite");
    sae_ = atlas_->put_sae(make_sae());
  }
  void TearDown() override {
    atlas_.reset();
    AtlasTest::TearDown();
  }
  void put(int feature, const char* text, const char* language = "en") {
    atlas_->put_explanation(atlas_->put_feature(sae_, make_record(feature)),
                            make_explanation(text, "llm", language));
  }
  std::vector<std::int32_t> find(const std::string& text) {
    std::vector<std::int32_t> features;
    for (const FeatureLine& line : atlas_->list({.text = text, .order = FeatureOrder::place}).lines)
      features.push_back(line.feature);
    return features;
  }
  using Found = std::vector<std::int32_t>;

  std::unique_ptr<Atlas> atlas_;
  std::int64_t sae_ = 0;
};

TEST_F(Search, FindsChineseWordsOfAnyLength) {
  put(1, "该神经元检测恐怖主义与炸弹袭击。", "zh");
  put(2, "与政治人物有关的新闻，例如弹劾。", "zh");
  put(3, "天气", "zh");
  EXPECT_EQ(find("弹"), (Found{1, 2})) << "one character";
  EXPECT_EQ(find("炸弹"), (Found{1})) << "two characters";
  EXPECT_EQ(find("弹炸"), (Found{})) << "the order counts";
  EXPECT_EQ(find("神经元"), (Found{1})) << "three characters";
  EXPECT_EQ(find("恐怖主义"), (Found{1})) << "four characters";
  EXPECT_EQ(find("弹 政治"), (Found{2})) << "two words, both needed";
  EXPECT_EQ(find("义与"), (Found{1})) << "across words";
}

TEST_F(Search, FindsHindiWordsWithMatras) {
  put(1, "बम विस्फोट और आतंकवादी हमले की धमकी।", "hi");
  put(2, "राजनीतिक नेता और चुनाव", "hi");
  put(3, "बमबारी", "hi");
  EXPECT_EQ(find("बम"), (Found{1})) << "a whole word, not a beginning";
  EXPECT_EQ(find("बम*"), (Found{1, 3}));
  EXPECT_EQ(find("विस्फोट"), (Found{1})) << "conjunct and matras";
  EXPECT_EQ(find("धमकी"), (Found{1})) << "the danda is no letter";
  EXPECT_EQ(find("धमक"), (Found{})) << "without its matra it is another word";
  EXPECT_EQ(find("चुनाव नेता"), (Found{2}));
}

TEST_F(Search, FindsEnglishWordsPhrasesAndBeginnings) {
  put(1, "Fires on bombs and bomb threats.");
  put(2, "Bombing of cities; a threat");
  put(3, "Café menus");
  EXPECT_EQ(find("BOMB"), (Found{1}));
  EXPECT_EQ(find("bomb*"), (Found{1, 2}));
  EXPECT_EQ(find("\"bomb threats\""), (Found{1}));
  EXPECT_EQ(find("threats bomb"), (Found{1}));
  EXPECT_EQ(find("\"threats bomb\""), (Found{}));
  EXPECT_EQ(find("cafe\u0301"), (Found{3}));
  EXPECT_EQ(find("!!"), (Found{})) << "nothing to look for is found nowhere";
  EXPECT_EQ(find(""), (Found{1, 2, 3})) << "no text, no condition";
}

TEST_F(Search, FindsWordsOfEveryScript) {
  put(1, "เรือใบลำใหญ่", "th");
  put(2, "The café at the harbour ⛵ of İstanbul", "en");
  put(3, "ニューヨークの船 ﾌﾈ", "ja");
  put(4, "배가 항구에 있다", "ko");
  put(5, "ភាសាខ្មែរ", "km");
  put(6, "Ελλάδα, корабль", "el");
  EXPECT_EQ(find("เรือ"), (Found{1}));
  EXPECT_EQ(find("ใหญ่"), (Found{1}));
  EXPECT_EQ(find("อเรื"), (Found{})) << "the order counts";
  EXPECT_EQ(find("⛵"), (Found{2}));
  EXPECT_EQ(find("🚀"), (Found{}));
  EXPECT_EQ(find("cafe"), (Found{2}));
  EXPECT_EQ(find("istanbul"), (Found{2}));
  EXPECT_EQ(find("İSTANBUL"), (Found{2}));
  EXPECT_EQ(find("船"), (Found{3}));
  EXPECT_EQ(find("フネ"), (Found{3})) << "half width as full width";
  EXPECT_EQ(find("항구"), (Found{4})) << "without its particle";
  EXPECT_EQ(find("ខ្មែរ"), (Found{5}));
  EXPECT_EQ(find("ελλαδα КОРАБЛЬ"), (Found{6}));
}

TEST_F(Search, TheBestMatchComesFirst) {
  put(1, "A very long sentence about many things, among them, at its very end, a bomb");
  put(2, "bomb");
  const FeaturePage page = atlas_->list({.text = "bomb", .order = FeatureOrder::relevance});
  ASSERT_EQ(page.lines.size(), 2u);
  EXPECT_EQ(page.lines[0].feature, 2);
}

TEST_F(Search, HostileQueriesAreOnlyText) {
  put(1, "bomb");
  for (const char* text : {"\"", "bomb\"", "AND", "NOT bomb", "(", "text:bomb", "^bomb", "bomb OR",
                           "-bomb", "*", "bo*mb", "{a b}:c", "NEAR(a b, 2)"})
    EXPECT_NO_THROW(find(text)) << text;
  EXPECT_NO_THROW(find(std::string("bo\0mb", 5)));
  EXPECT_NO_THROW(find(std::string(100'000, 'x')));
}

}  // namespace
}  // namespace safesail
