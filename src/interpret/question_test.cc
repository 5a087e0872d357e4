#include "interpret/question.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/error.h"
#include "base/utf8.h"
#include "interpret/score_testing.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::array kScorers = {Scorer::segment, Scorer::token, Scorer::detection,
                                 Scorer::fuzzing};

FeatureRecord fires_on_3_and_7() {
  return planted_feature({}, fires_on_words({3, 7}));
}

std::string_view part(const Question& question, TextRange range) {
  return std::string_view(question.text).substr(range.begin, range.end - range.begin);
}
bool is_active_word(std::string_view word) {
  return word == "w3" || word == "w7";
}

TEST(Questions, ReadTestWindowsAlone) {
  const FeatureRecord record = fires_on_3_and_7();
  for (const Scorer scorer : kScorers) {
    const QuestionSet set = build_questions(record, scorer);
    EXPECT_THAT(set.insufficient, IsEmpty());
    EXPECT_EQ(set.n_shared, 0u);
    ASSERT_EQ(set.questions.size(), 80u);
    EXPECT_EQ(set.n_firing(), 40u);
    for (std::size_t i = 0; i < set.questions.size(); ++i) {
      const Exemplar& exemplar = record.exemplars[set.exemplar[i]];
      EXPECT_EQ(exemplar.use, Use::test);
      EXPECT_EQ(set.questions[i].text, exemplar.window.text);
      EXPECT_EQ(set.document[i], exemplar.window.document);
      EXPECT_EQ(set.truth[i].size(), set.questions[i].units.size());
    }
  }
}

TEST(Questions, SegmentsAreActiveWhereTheyHoldAnActiveWord) {
  const QuestionSet set =
      build_questions(fires_on_3_and_7(), Scorer::segment, {.segment_words = 2});
  std::size_t n_active = 0;
  for (std::size_t i = 0; i < set.questions.size(); ++i)
    for (std::size_t unit = 0; unit < set.truth[i].size(); ++unit) {
      const std::string_view segment = part(set.questions[i], set.questions[i].units[unit]);
      const std::size_t space = segment.find(' ');
      const bool active = is_active_word(segment.substr(0, space)) ||
                          (space != segment.npos && is_active_word(segment.substr(space + 1)));
      ASSERT_EQ(set.truth[i][unit], float(active)) << segment;
      n_active += active;
    }
  EXPECT_GT(n_active, 40u);
}

TEST(Questions, TokensHaveLevelsAndWindowsFire) {
  const FeatureRecord record = fires_on_3_and_7();
  const QuestionSet tokens = build_questions(record, Scorer::token);
  for (std::size_t i = 0; i < tokens.questions.size(); ++i)
    for (std::size_t unit = 0; unit < tokens.truth[i].size(); ++unit) {
      std::string_view token = part(tokens.questions[i], tokens.questions[i].units[unit]);
      if (unit > 0) token.remove_prefix(1);
      ASSERT_EQ(tokens.truth[i][unit], is_active_word(token) ? 8 : 0) << token;
    }
  const QuestionSet windows = build_questions(record, Scorer::detection);
  for (std::size_t i = 0; i < windows.questions.size(); ++i) {
    const bool fires = record.exemplars[windows.exemplar[i]].window.max_activation() > 0;
    EXPECT_THAT(windows.truth[i], ElementsAre(float(fires)));
    EXPECT_EQ(windows.fires[i], fires);
  }
}

TEST(Questions, WeakWindowsAreOnTheSilentSide) {
  // Level 0 (0.4 of 10), 1 (0.6) and, by a higher threshold, 3.
  for (const auto& [activation, min_level, fires] :
       {std::tuple{0.4F, 1, false}, {0.6F, 1, true}, {3.0F, 4, false}, {3.0F, 3, true}}) {
    FeatureRecord record =
        planted_feature({}, [value = activation](const std::vector<std::int32_t>& ids,
                                                 std::size_t t) { return ids[t] < 5 ? value : 0; });
    const QuestionSet set =
        build_questions(record, Scorer::detection, {.min_level = min_level, .max_windows = 1000});
    EXPECT_EQ(set.n_firing(), fires ? 40u : 0u) << activation;
    EXPECT_EQ(set.questions.size(), 80u);
    EXPECT_EQ(set.insufficient.empty(), fires);
  }
}

TEST(Questions, FuzzingMarksAsManyWrongAsRight) {
  const FeatureRecord record = fires_on_3_and_7();
  const QuestionSet set = build_questions(record, Scorer::fuzzing);
  std::map<std::size_t, std::array<std::size_t, 2>> n_marked;  // by window, right and wrong
  for (std::size_t i = 0; i < set.questions.size(); ++i) {
    const bool right = set.truth[i] == std::vector<float>{1};
    EXPECT_EQ(set.fires[i], right);
    std::size_t n_words = 0;
    for (const TextRange mark : set.questions[i].marked) {
      EXPECT_NE(part(set.questions[i], mark).front(), ' ');
      const std::string marked = std::string(part(set.questions[i], mark)) + ' ';
      for (std::size_t begin = 0; begin < marked.size(); ++n_words) {
        const std::size_t end = marked.find(' ', begin);
        EXPECT_EQ(is_active_word(std::string_view(marked).substr(begin, end - begin)), right);
        begin = end + 1;
      }
    }
    n_marked[set.exemplar[i]][right] = n_words;
  }
  EXPECT_EQ(n_marked.size(), 40u);
  for (const auto& [window, n] : n_marked) EXPECT_EQ(n[0], n[1]) << "window " << window;
  // Each window once in either half.
  const std::size_t half = set.exemplar.size() / 2;
  EXPECT_TRUE(
      std::ranges::equal(std::span(set.exemplar).first(half), std::span(set.exemplar).last(half)));
}

TEST(Questions, WindowsWithFewerSilentTokensThanActiveOnesCannotBeMarkedWrongly) {
  const FeatureRecord record = planted_feature(
      {.n_silent = 0},
      [](const std::vector<std::int32_t>&, std::size_t t) { return t < 9 ? 5.0F : 0.0F; });
  EXPECT_THAT(build_questions(record, Scorer::fuzzing).insufficient,
              HasSubstr("insufficient: n = 0 firing, 0 marked wrongly; 10 of each"));
}

TEST(Questions, ComeFromAllStrataAlike) {
  FeatureRecord record = planted_feature({.n_firing = 200, .n_silent = 100}, fires_on_words({3}));
  // Of the 200 firing windows 100 at level 8 and 8 at each of four more; 60 of the strongest.
  std::map<std::pair<bool, int>, int> n_of;
  int n = 0;
  for (Exemplar& exemplar : record.exemplars) {
    if (exemplar.use != Use::test) continue;
    if (exemplar.kind == WindowKind::silent) {
      if (++n % 10 == 0) exemplar.kind = WindowKind::hard_token;
      continue;
    }
    const int i = n++ % 200;
    if (i < 60)
      exemplar.kind = WindowKind::top;
    else if (i < 92)
      for (float& value : exemplar.window.activation) value *= float(1 + i % 4) / 8;
  }
  const QuestionSet set = build_questions(record, Scorer::detection, {.max_windows = 30});
  for (const std::size_t i : set.exemplar) {
    const Exemplar& exemplar = record.exemplars[i];
    const int level = activation_level(exemplar.window.max_activation(), record.quantile);
    ++n_of[{level > 0,
            level > 0 ? (exemplar.kind == WindowKind::top ? 11 : level) : int(exemplar.kind)}];
  }
  for (const auto& [stratum, count] : n_of)
    EXPECT_GE(count, stratum.first ? 5 : 10) << stratum.second;
  EXPECT_EQ(set.n_firing(), 30u);
  EXPECT_EQ(set.questions.size(), 60u);
}

TEST(Questions, TooFewWindowsAreSaidToBe) {
  const FeatureRecord record =
      planted_feature({.n_firing = 3, .n_silent = 20}, fires_on_words({3}));
  for (const Scorer scorer : {Scorer::segment, Scorer::token, Scorer::detection})
    EXPECT_EQ(build_questions(record, scorer).insufficient,
              "insufficient: n = 3 firing, 20 silent; 10 of each are wanted");
  EXPECT_THAT(build_questions(record, Scorer::segment, {.min_windows = 3}).insufficient, IsEmpty());
  EXPECT_THROW(build_questions(record, Scorer::segment, {.max_windows = 9}), Error);
  EXPECT_THAT(build_questions(FeatureRecord{}, Scorer::segment).insufficient,
              HasSubstr("n = 0 firing"));
}

// The leak test: whatever a record holds, no window and no document that an explainer may have read
// is asked about.
TEST(Questions, NeverAskAboutWhatAnotherUseHasRead) {
  FeatureRecord record = fires_on_3_and_7();
  const std::size_t n = record.exemplars.size();
  std::vector<std::size_t> tests;
  for (std::size_t i = 0; i < n; ++i)
    if (record.exemplars[i].use == Use::test) tests.push_back(i);
  // Five test windows stand among those for explaining under another document, four documents give
  // one more window for calibration, three test windows stand twice.
  for (std::size_t i = 0; i < 5; ++i) {
    Exemplar copy = record.exemplars[tests[i]];
    copy.use = Use::explain;
    copy.window.document = 1'000'000 + i;
    record.exemplars.push_back(copy);
  }
  for (std::size_t i = 5; i < 9; ++i) {
    Exemplar other = record.exemplars[tests[i]];
    other.use = Use::calibrate;
    std::ranges::reverse(other.window.ids);
    record.exemplars.push_back(other);
  }
  for (std::size_t i = 9; i < 12; ++i) {
    Exemplar copy = record.exemplars[tests[i]];
    copy.window.document = 2'000'000 + i;
    record.exemplars.push_back(copy);
  }
  std::set<std::vector<std::int32_t>> read;
  std::set<std::uint64_t> documents;
  for (const Exemplar& exemplar : record.exemplars)
    if (exemplar.use != Use::test) {
      read.insert(exemplar.window.ids);
      documents.insert(exemplar.window.document);
    }
  for (const Scorer scorer : kScorers) {
    const QuestionSet set = build_questions(record, scorer);
    EXPECT_EQ(set.n_shared, 9u);
    EXPECT_EQ(set.n_repeated, 3u);
    for (const std::size_t i : set.exemplar) {
      EXPECT_FALSE(read.contains(record.exemplars[i].window.ids))
          << record.exemplars[i].window.text;
      EXPECT_FALSE(documents.contains(record.exemplars[i].window.document));
    }
  }
}

TEST(Questions, TheirHashNamesWhatIsAsked) {
  const FeatureRecord record = planted_feature({}, fires_on_words({3, 7}));
  const std::string hash = build_questions(record, Scorer::segment).hash();
  EXPECT_EQ(build_questions(record, Scorer::segment).hash(), hash);
  EXPECT_NE(build_questions(record, Scorer::token).hash(), hash);
  EXPECT_NE(build_questions(record, Scorer::segment, {.max_windows = 20}).hash(), hash);
  EXPECT_NE(build_questions(record, Scorer::segment, {.segment_words = 2}).hash(), hash);
  EXPECT_NE(build_questions(record, Scorer::fuzzing, {.seed = 1}).hash(),
            build_questions(record, Scorer::fuzzing).hash());
  // More windows wanted than there are ask the same.
  EXPECT_EQ(build_questions(record, Scorer::segment, {.max_windows = 400}).hash(),
            build_questions(record, Scorer::segment, {.max_windows = 500}).hash());
}

TEST(Questions, EqualSeedsGiveEqualQuestions) {
  const FeatureRecord record = fires_on_3_and_7();
  const QuestionOptions options{.max_windows = 20, .seed = 5};
  const auto asked = [&](const QuestionOptions& given) {
    return build_questions(record, Scorer::segment, given).exemplar;
  };
  EXPECT_EQ(asked(options), asked(options));
  EXPECT_NE(asked(options), asked({.max_windows = 20, .seed = 6}));
  // All scorers ask about the same windows.
  std::vector<std::size_t> by_segment = asked(options);
  std::vector<std::size_t> by_token = build_questions(record, Scorer::token, options).exemplar;
  EXPECT_EQ(by_segment, by_token);
}

TEST(TokenUnits, AreWholeCharacters) {
  // 中文 in tokens of 1, 3 and 2 bytes: one unit, as each token shares a character with the next.
  Window window;
  window.text = "a中文 b";
  window.ids = {1, 2, 3, 4, 5};
  window.starts = {0, 1, 2, 5, 7, 9};
  window.activation = {0, 1, 7, 2, 3};
  const std::vector<TextRange> units = token_units(window);
  ASSERT_EQ(units.size(), 3u);
  for (const TextRange unit : units)
    EXPECT_TRUE(is_utf8(std::string_view(window.text).substr(unit.begin, unit.end - unit.begin)));
  EXPECT_THAT(max_activations(window, units), ElementsAre(0, 7, 3));
}

}  // namespace
}  // namespace safesail
