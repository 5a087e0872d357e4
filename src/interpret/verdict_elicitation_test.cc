#include "interpret/verdict_elicitation.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// An answer whose first token might have been any of these.
ChatAnswer first_token(const std::vector<std::pair<std::string, double>>& probabilities) {
  ChatAnswer answer;
  AnswerToken& token = answer.tokens.emplace_back();
  token.text = answer.content = probabilities.front().first;
  for (const auto& [text, probability] : probabilities)
    token.alternatives.emplace_back(text, static_cast<float>(std::log(probability)));
  return answer;
}

TEST(ShareOfYes, CountsEverySpelling) {
  const auto answer =
      first_token({{"Yes", 0.3}, {"No", 0.2}, {" yes", 0.2}, {"NO", 0.1}, {"Maybe", 0.2}});
  EXPECT_NEAR(*share_of_yes(answer), 0.5 / 0.8, 1e-6);
}

TEST(ShareOfYes, WhatIsNotAmongThemIsAsLikelyAsTheLeast) {
  EXPECT_NEAR(*share_of_yes(first_token({{"Yes", 0.9}, {"The", 0.02}})), 0.9 / 0.92, 1e-6);
  EXPECT_NEAR(*share_of_yes(first_token({{"No", 0.9}, {"The", 0.02}})), 0.02 / 0.92, 1e-6);
}

TEST(ShareOfYes, TakesTheWordWhereProbabilitiesSayNothing) {
  EXPECT_EQ(share_of_yes({.content = "Yes, it does."}), 1);
  EXPECT_EQ(share_of_yes({.content = " **no**"}), 0);
  EXPECT_EQ(share_of_yes({.content = "Nothing of the kind"}), std::nullopt);
  EXPECT_EQ(share_of_yes(first_token({{"Maybe", 0.6}, {"It", 0.4}})), std::nullopt);
  EXPECT_EQ(share_of_yes({}), std::nullopt);
}

const std::vector<Question> kQuestions = {
    {.text = "a bombshell went off", .units = {{0, 20}}, .marked = {{1, 6}}},
    {.text = "she baked a cake", .units = {{0, 16}}, .marked = {{9, 11}}}};

TEST(VerdictElicitation, AsksAboutEachWindowAlone) {
  const VerdictElicitation verdicts;
  std::set<std::string> hashes;
  for (const Scorer scorer : {Scorer::detection, Scorer::fuzzing}) {
    const auto batches =
        verdicts.batches(scorer, {.text = "all of it", .gist = "bombs"}, kQuestions);
    ASSERT_EQ(batches.size(), 2U);
    for (std::size_t q = 0; q < batches.size(); ++q) {
      EXPECT_EQ(batches[q].questions, std::vector{q});
      const std::vector<ChatMessage>& messages = batches[q].request.messages;
      std::string all;
      for (const ChatMessage& message : messages) all += message.content;
      EXPECT_THAT(all, HasSubstr("\"bombs\""));
      EXPECT_THAT(all, Not(HasSubstr("all of it")));
      EXPECT_GT(batches[q].request.top_logprobs, 0);
      // All that differs stands in the last message: the others are read once.
      ASSERT_EQ(messages.size(), batches[0].request.messages.size());
      for (std::size_t m = 0; m + 1 < messages.size(); ++m)
        EXPECT_EQ(messages[m].content, batches[0].request.messages[m].content);
    }
    EXPECT_THAT(batches[1].request.messages.back().content, HasSubstr("she baked"));
    hashes.insert(verdicts.prompt_hash(scorer));
  }
  EXPECT_EQ(hashes.size(), 2U);
  EXPECT_THAT(verdicts.batches(Scorer::fuzzing, {.text = "bombs"}, kQuestions)[0]
                  .request.messages.back()
                  .content,
              HasSubstr("a <<bomb>>shell went off"));
}

/// The last line of each request that shows a text.
std::vector<std::string> texts_of(const std::vector<AskedBatch>& batches) {
  std::vector<std::string> texts;
  for (const AskedBatch& batch : batches) {
    const std::string& last = batch.request.messages.back().content;
    const std::size_t at = last.rfind("Text: ") + 6;
    texts.push_back(last.substr(at, last.find('\n', at) - at));
  }
  return texts;
}

TEST(VerdictElicitation, AsksAboutEachSegmentAsIfItWereAll) {
  const Question question{.text = "a bomb went off", .units = {{0, 6}, {7, 15}}};
  EXPECT_THAT(
      texts_of(VerdictElicitation().batches(Scorer::segment, {.text = "bombs"}, {&question, 1})),
      ElementsAre("\"a bomb\"", "\"went off\""));
}

TEST(VerdictElicitation, AsksAboutTheWordOfEachToken) {
  // Two tokens of one word, one of marks and a word, one of white space.
  const Question question{.text = "a bombshell) off\n",
                          .units = {{0, 1}, {1, 6}, {6, 11}, {11, 16}, {16, 17}}};
  EXPECT_THAT(
      texts_of(VerdictElicitation().batches(Scorer::token, {.text = "bombs"}, {&question, 1})),
      ElementsAre("\"a\"", "\"bombshell\"", "\"bombshell\"", "\") off\"", "\"\\n\""));
}

TEST(VerdictElicitation, ReadsEachUnitIntoItsPlace) {
  const VerdictElicitation verdicts;
  const Question question{.text = "a bomb went off", .units = {{0, 6}, {7, 15}}};
  for (const Scorer scorer : {Scorer::segment, Scorer::token}) {
    const auto batches = verdicts.batches(scorer, {.text = "bombs"}, {&question, 1});
    const auto read = [&](const ChatResult& first, const ChatResult& second) {
      std::vector<Answer> answers{{AnswerStatus::ok, {}, ""}};
      verdicts.read(scorer, batches[1], {&question, 1}, second, answers);
      verdicts.read(scorer, batches[0], {&question, 1}, first, answers);
      return answers[0];
    };
    const auto says = [](const char* content) {
      return ChatResult{.status = AnswerStatus::ok, .answer = {.content = content}};
    };
    EXPECT_THAT(read(says("Yes"), says("No")).values,
                ElementsAre(scorer == Scorer::token ? kMaxLevel : 1, 0));
    const Answer unread = read(says("Yes"), says("Both"));
    EXPECT_EQ(unread.status, AnswerStatus::unparsable);
    EXPECT_TRUE(unread.values.empty()) << "half an answer is none";
    const Answer failed = read({.status = AnswerStatus::failed, .detail = "HTTP 500"}, says("No"));
    EXPECT_EQ(failed.status, AnswerStatus::failed);
    EXPECT_TRUE(failed.values.empty());
  }
}

TEST(VerdictElicitation, SettlesWhatAModelSaysOfNearlyEverything) {
  const VerdictElicitation verdicts;
  const auto answers = [] {
    return std::vector<Answer>{{AnswerStatus::ok, {0.99F}, ""},
                               {AnswerStatus::refused, {}, "no"},
                               {AnswerStatus::ok, {0.9F}, ""},
                               {AnswerStatus::ok, {1.0F}, ""}};
  };
  auto settled = answers();
  verdicts.settle(Scorer::detection, settled);
  EXPECT_TRUE(settled[1].values.empty());
  EXPECT_FLOAT_EQ(settled[0].values[0], 0.5F);  // the middle one
  EXPECT_NEAR(settled[2].values[0], 9.0 / (9 + 99), 1e-3);
  EXPECT_GT(settled[3].values[0], 0.99F);
  settled = answers();
  verdicts.settle(Scorer::segment, settled);
  EXPECT_EQ(settled[0].values[0], 0.99F) << "segments are no halves";
}

}  // namespace
}  // namespace safesail
