// Explainer and simulator against features whose truth is known, through the scores.
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "interpret/lexical_explainer.h"
#include "interpret/lexical_sentence.h"
#include "interpret/lexical_simulator.h"
#include "interpret/score.h"
#include "interpret/score_testing.h"

namespace safesail {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::array kScorers = {Scorer::segment, Scorer::token, Scorer::detection,
                                 Scorer::fuzzing};

ScoreResult lexical_score(const FeatureRecord& record, Scorer scorer,
                          const ExplanationText& explanation) {
  LexicalSimulator simulator;
  const ScoreResult result = score(simulator, build_questions(record, scorer, {.max_windows = 200}),
                                   explanation, {}, {.n_resamples = 0});
  EXPECT_THAT(result.n_answers, testing::ElementsAre(result.n_asked, 0, 0, 0, 0));
  return result;
}

// Units are nearly independent: a statistic without relation has a standard error of 1 / sqrt(n)
// (accuracy: half); four of them, beside what the test states.
double sampling(const ScoreResult& result) {
  return 4 / std::sqrt(double(result.n_units));
}

PlantedConfig many(std::uint64_t seed) {
  return {.vocabulary = 60, .n_firing = 150, .n_silent = 150, .seed = seed};
}

TEST(Lexical, ScoresAPlantedFeatureNearOneAndAWrongExplanationAtChance) {
  const FeatureRecord record = planted_feature(many(1), fires_on_words({3, 17, 41}));
  const FeatureRecord other = planted_feature(many(2), fires_on_words({5, 22, 50}));
  const ExplanationText right = explain_lexically(record).english;
  const ExplanationText wrong = explain_lexically(other).english;
  for (const Scorer scorer : kScorers) {
    EXPECT_GE(lexical_score(record, scorer, right).value.value, 0.9) << to_string(scorer);
    const ScoreResult at_chance = lexical_score(record, scorer, wrong);
    // Active on other words where it is silent on these: r of two rare, exclusive events is about
    // minus their rate, here 0.06 a token and 0.2 a segment of four.
    const double exclusive = scorer == Scorer::segment ? 0.1 : 0.06;
    EXPECT_NEAR(at_chance.counted().value(), chance(scorer), exclusive + sampling(at_chance))
        << to_string(scorer);
  }
}

TEST(Lexical, TheGistIsWhatItFiresOn) {
  EXPECT_EQ(lexical_gist("Fires on head (41 % of its activation), horn (18 %) and others. In texts "
                         "with deer (9 %). Promotes ear, tail. Dense: fires on 12 % of tokens."),
            "head, horn and others. In texts with deer");
  EXPECT_EQ(lexical_gist("Fires on many different words, among them a (b) and c (12 kg)."),
            "a (b) and c (12 kg)");
  EXPECT_EQ(lexical_gist("She (41"), "She (41");
  EXPECT_EQ(lexical_gist(""), "");
  // Of real sentences, too.
  const FeatureRecord record = planted_feature(many(1), fires_on_words({3, 17, 41}));
  const std::string gist = lexical_gist(explain_lexically(record).english.text);
  for (const char* word : {"w3", "w17", "w41"}) EXPECT_THAT(gist, HasSubstr(word));
  EXPECT_THAT(gist, testing::Not(HasSubstr("%")));
}

TEST(Lexical, ReadsProseAsAListOfWords) {
  const FeatureRecord record = planted_feature(many(1), fires_on_words({3, 17, 41}));
  const ExplanationText right{.text = "Mentions of the words W3, w17 and w41", .lexicon = {}};
  const ExplanationText wrong{.text = "Mentions of w5 and w22", .lexicon = {}};
  for (const Scorer scorer : kScorers) {
    EXPECT_NEAR(lexical_score(record, scorer, right).value.value, 1, 1e-9) << to_string(scorer);
    const ScoreResult at_chance = lexical_score(record, scorer, wrong);
    EXPECT_NEAR(at_chance.counted().value(), chance(scorer), 0.1 + sampling(at_chance))
        << to_string(scorer);
  }
  const Lexicon lexicon =
      lexicon_of_prose("This neuron fires on attacks, bombing and the rape of villages.");
  for (const char* word : {"attack", "attacks", "bombing", "bombings", "rape", "raped", "village"})
    EXPECT_TRUE(lexicon.effects.contains({CueKind::word, word})) << word;
  for (const char* word : {"neuron", "the", "on", ".", "battle"})
    EXPECT_FALSE(lexicon.effects.contains({CueKind::word, word})) << word;
}

TEST(Lexical, CannotExplainAFeatureThatFiresAtRandom) {
  Rng rng(8, "random feature");
  const FeatureRecord record =
      planted_feature(many(3), [&](const std::vector<std::int32_t>&, std::size_t) {
        return rng.below(20) == 0 ? 1 + float(rng.below(9)) : 0.0F;
      });
  const ExplanationText explanation = explain_lexically(record).english;
  for (const Scorer scorer : kScorers) {
    const ScoreResult result = lexical_score(record, scorer, explanation);
    EXPECT_NEAR(result.counted().value(), chance(scorer), sampling(result)) << to_string(scorer);
  }
}

// Context alone: fires on whatever follows w7, which no list of words tells.
TEST(Lexical, SeesTheWordBefore) {
  const FeatureRecord record =
      planted_feature(many(4), [](const std::vector<std::int32_t>& ids, std::size_t t) {
        return t > 0 && ids[t - 1] == 7 ? 6.0F : 0.0F;
      });
  const LexicalExplanation explanation = explain_lexically(record);
  EXPECT_GE(lexical_score(record, Scorer::token, explanation.english).value.value, 0.8);
  EXPECT_THAT(
      explanation.english.text,
      StartsWith("Fires on what follows “w7” (100 % of its activation), most strongly on "));
}

TEST(LexicalExplainer, ReadsNothingButTheWindowsForExplaining) {
  FeatureRecord record = planted_feature(many(5), fires_on_words({3}));
  const LexicalExplanation before = explain_lexically(record);
  std::erase_if(record.exemplars,
                [](const Exemplar& exemplar) { return exemplar.use != Use::explain; });
  record.fires_on = {{.id = 1, .text = "leak", .weight = 1}};
  const LexicalExplanation after = explain_lexically(record);
  EXPECT_EQ(before.english.text, after.english.text);
  EXPECT_EQ(before.english.lexicon, after.english.lexicon);
}

FeatureRecord told_by(const std::vector<std::string>& texts) {
  FeatureRecord record;
  record.quantile = 10;
  record.n_tokens = 1000;
  record.n_active = 5;
  for (const std::string& text : texts) {
    Exemplar exemplar{.window = bracketed_window(text, 8, record.exemplars.size() + 1)};
    exemplar.kind = exemplar.window.max_activation() > 0 ? WindowKind::top : WindowKind::silent;
    record.exemplars.push_back(std::move(exemplar));
  }
  return record;
}
std::string sentence_of(const FeatureRecord& record) {
  return explain_lexically(record).english.text;
}

TEST(LexicalExplainer, NamesTheWords) {
  FeatureRecord record =
      told_by({"an[ attack] came at dawn", "the[ bomb]ing of a town", "after an[ Attack] they fled",
               "a[ bomb]ing began", "the river ran by a town", "dawn came to the town",
               "they fled at dawn"});
  record.promoted = {{.text = " war"}, {.text = "ity"}, {.text = " War"},
                     {.text = "\xff"}, {.text = "!!"},  {.text = "暴力"}};
  EXPECT_EQ(sentence_of(record),
            "Fires on attack, bombing (100 % of its activation), in any context. Promotes war, "
            "-ity, 暴力.");
  EXPECT_EQ(
      explain_lexically(record).chinese,
      "在 attack、bombing 上激活（占激活量的 100 %），不论上下文。促进输出 war、-ity、暴力。");
}

TEST(LexicalExplainer, NamesTheContextThatAWordNeeds) {
  EXPECT_THAT(sentence_of(told_by({"(as[ in] deportation)", "such as[ in] epilepsy",
                                   "as[ in] ancient Rome", "he lives in a house", "born in Peru",
                                   "it is in use", "kept in oil", "found in lakes"})),
              StartsWith("Fires on “in” after “as” (100 % of its activation), in any context."));
}

TEST(LexicalExplainer, SaysWhenThereAreManyWords) {
  std::vector<std::string> texts;
  for (const char* word :
       {"Amber", "Birch", "Cedar", "Daisy", "Elder", "Fern", "Grass", "Hazel", "Iris", "Jasmin"}) {
    texts.push_back("[" + std::string(word) + "] grows near the old river and its bank");
    texts.push_back("a tree near the " + std::string(word) + " and the bank");
  }
  EXPECT_THAT(sentence_of(told_by(texts)),
              StartsWith("Fires on capitalised words (100 % of its activation), most strongly on "
                         "Amber, Birch, Cedar, Daisy, often the first word of a text (100 %)."));
  texts.clear();
  for (const char* word : {"amber", "birch", "cedar", "daisy", "elder", "fern", "grass", "hazel"}) {
    const std::string before = "x" + std::to_string(texts.size());
    texts.push_back("a " + before + "[ " + word + "] and");
    texts.push_back("a " + before + " " + word + " and");
  }
  EXPECT_THAT(sentence_of(told_by(texts)),
              StartsWith("Fires on many different words, most strongly on amber, "));
}

TEST(LexicalExplainer, NamesNumbersAndEndings) {
  std::vector<std::string> texts;
  for (const char* before : {"in", "since", "of", "by", "until", "after"})
    texts.push_back("a battle " + std::string(before) + "[ 18" + std::to_string(texts.size() + 12) +
                    "] was fought there");
  texts.push_back("a battle in which they fought was lost since then by us");
  EXPECT_THAT(sentence_of(told_by(texts)),
              StartsWith("Fires on numbers (100 % of its activation), most strongly on 18"));
  texts = {"then[ singing] they left", "then[ dancing] they left",  "still[ running] they left",
           "then[ walking] they left", "still[ singing] they left", "then they left",
           "they left then",           "then still they left"};
  EXPECT_THAT(sentence_of(told_by(texts)),
              StartsWith("Fires on words that end in -ing (100 % of its activation)"));
}

TEST(LexicalExplainer, SaysWhereItKnowsNothing) {
  EXPECT_EQ(sentence_of(told_by({"no such thing", "nor here"})),
            "Does not fire in any text it was to be explained from.");
  EXPECT_EQ(sentence_of(told_by({})), "Does not fire in any text it was to be explained from.");
  FeatureRecord dense = told_by({"an[ attack]", "an[ attack]!", "a day", "no day"});
  dense.n_active = 90;
  EXPECT_THAT(sentence_of(dense), HasSubstr("Dense: fires on 9 % of all tokens."));
}

TEST(LexicalSimulator, AnswersEveryKindOfUnit) {
  LexicalSimulator simulator;
  const ExplanationText prose{.text = "attack", .lexicon = {}};
  const Question question{
      .text = "the attack on", .units = {{0, 3}, {3, 10}, {10, 13}}, .marked = {}};
  const auto values = [&](Scorer scorer, const Question& asked) {
    return simulator.answer(scorer, prose, std::span(&asked, 1)).answers.front().values;
  };
  EXPECT_THAT(values(Scorer::segment, question), testing::ElementsAre(0, 1, 0));
  EXPECT_THAT(values(Scorer::token, question), testing::ElementsAre(0, kNamedLevel, 0));
  Question whole{.text = question.text, .units = {{0, 13}}, .marked = {{4, 10}}};
  EXPECT_THAT(values(Scorer::fuzzing, whole), testing::ElementsAre(1));
  whole.marked = {{0, 3}};
  EXPECT_THAT(values(Scorer::fuzzing, whole), testing::ElementsAre(0.25));  // below one of two
  EXPECT_THROW(
      simulator.answer(Scorer::token, {.text = "x", .lexicon = "{}"}, std::span(&question, 1)),
      Error);
}

}  // namespace
}  // namespace safesail
