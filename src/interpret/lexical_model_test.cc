#include "interpret/lexical_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "interpret/score_testing.h"

namespace safesail {
namespace {

std::vector<Exemplar> windows(const std::vector<std::string>& texts, int level = 8) {
  std::vector<Exemplar> exemplars;
  for (const std::string& text : texts)
    exemplars.push_back({.window = bracketed_window(text, level, exemplars.size() + 1)});
  return exemplars;
}
Lexicon fitted(const std::vector<Exemplar>& exemplars) {
  std::vector<const Exemplar*> pointers;
  for (const Exemplar& exemplar : exemplars) pointers.push_back(&exemplar);
  return fit_lexicon(pointers, 10);
}
Expected expected_of_last(const Lexicon& lexicon, std::string_view text) {
  return lexicon.expected(cued_pieces(text).back());
}

TEST(Lexicon, ExpectsWhatItHasSeen) {
  std::vector<std::string> texts;
  for (int i = 0; i < 20; ++i) {
    texts.push_back("they saw the[ attack] on a town");
    texts.push_back("they saw the river near a town");
  }
  const Lexicon lexicon = fitted(windows(texts));
  // 20 documents against a shrinkage of 1, shared among the cues: some 95 % of level 8.
  EXPECT_GT(expected_of_last(lexicon, "they saw the attack").level, 7);
  EXPECT_GT(expected_of_last(lexicon, "they saw the attack").active, 0.85);
  for (const char* other : {"they saw the river", "they saw the", "near a town"})
    EXPECT_LT(expected_of_last(lexicon, other).active, 0.1) << other;
}

// Any word after "of": a word never seen is expected there too, and only there.
TEST(Lexicon, GivesTheContextItsShare) {
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i) {
    const std::string word = "b" + std::to_string(i) + "x";
    texts.push_back("a lot of[ " + word + "] here");
    texts.push_back("no " + word + " here");
  }
  const Lexicon lexicon = fitted(windows(texts));
  EXPECT_GT(expected_of_last(lexicon, "plenty of zebras").active, 0.6);
  EXPECT_LT(expected_of_last(lexicon, "no zebras").active, 0.2);
}

// One document that repeats a word a hundred times weighs no more than one that has it once.
TEST(Lexicon, RestsOnDocumentsNotOnRepetition) {
  std::string repeated = "x";
  for (int i = 0; i < 100; ++i) repeated += "[ buy] now";
  const Lexicon lexicon = fitted(windows({repeated, "they buy now", "you buy now", "we buy now"}));
  // The word: a quarter of level 8 at most, shrunk, beside the bias.
  const float level = lexicon.effects.contains({CueKind::word, "buy"})
                          ? lexicon.effects.at({CueKind::word, "buy"}).level
                          : 0;
  EXPECT_LT(level, 2);
}

TEST(Lexicon, RefusesWindowsOfOtherUses) {
  for (const Use use : {Use::calibrate, Use::test}) {
    std::vector<Exemplar> exemplars = windows({"an[ attack]", "a river"});
    exemplars[1].use = use;
    EXPECT_THROW(fitted(exemplars), std::logic_error);
  }
}

TEST(Lexicon, SurvivesAsJson) {
  const Lexicon lexicon = fitted(windows({"the[ \"attack\"] on", "an[ attack]", "नमस्ते[ 攻击] 。"}));
  ASSERT_GT(lexicon.effects.size(), 5u);
  const Lexicon again = parse_lexicon(to_json(lexicon));
  EXPECT_EQ(to_json(again), to_json(lexicon));
  ASSERT_EQ(again.effects.size(), lexicon.effects.size());
  for (const auto& [cue, effect] : lexicon.effects) {
    EXPECT_NEAR(again.effects.at(cue).level, effect.level, 0.0051) << cue.text;
    EXPECT_NEAR(again.effects.at(cue).active, effect.active, 0.00051) << cue.text;
  }
}

TEST(Lexicon, OfNothingExpectsNothing) {
  const Lexicon lexicon = fitted({});
  EXPECT_TRUE(lexicon.effects.empty());
  EXPECT_EQ(expected_of_last(lexicon, "word").level, 0);
  EXPECT_EQ(expected_of_last(parse_lexicon(to_json(lexicon)), "word").active, 0);
}

TEST(ParseLexicon, RefusesWhatIsNoLexicon) {
  for (const char* text :
       {"", "[]", "{}", "{\"bias\": 1}", "{\"bias\": [1]}", "{\"bias\": [1, \"x\"]}",
        "{\"bias\": [1, 1e30]}", "{\"bias\": [0, 0], \"word\": []}",
        "{\"bias\": [0, 0], \"word\": {\"a\": 1}}",
        "{\"bias\": [0, 0], \"pair\": {\"a\": [1e9, 0]}}"})
    EXPECT_THROW(parse_lexicon(text), Error) << text;
}

}  // namespace
}  // namespace safesail
