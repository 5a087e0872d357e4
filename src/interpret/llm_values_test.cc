#include "interpret/llm_values.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace safesail {
namespace {

using testing::ElementsAre;

std::vector<Answer> read(const std::string& content, std::vector<std::size_t> n_units,
                         int max_value = 1) {
  ChatAnswer answer;
  answer.content = content;
  return read_values(answer, n_units, max_value);
}

TEST(LlmValues, ReadsWhatWasAskedFor) {
  const auto answers = read(R"({"answers": [{"id": 2, "v": [0,1]}, {"id": 1, "v": [1]}]})", {1, 2});
  EXPECT_EQ(answers[0].status, AnswerStatus::ok);
  EXPECT_THAT(answers[0].values, ElementsAre(1));
  EXPECT_THAT(answers[1].values, ElementsAre(0, 1));
  EXPECT_THAT(read(R"({"id": 1, "v": [0,10,3]})", {3}, 10)[0].values, ElementsAre(0, 10, 3));
}

TEST(LlmValues, ReadsWhatWasNotQuiteAskedFor) {
  for (const char* content :
       {"Sure!\n```json\n{\"answers\": [{\"id\": 1, \"v\": [1, 0]}]}\n```",
        R"({"v": [true, false], "id": 1})", R"([{"id": 1, "why": "a", "v": [1.0, 0]}])",
        R"({"answers": [{"id": 1, "v": [1,0]}, {"id": 2, "v": [0)"}) {
    const auto answers = read(content, {2});
    EXPECT_EQ(answers[0].status, AnswerStatus::ok) << content << answers[0].detail;
    EXPECT_THAT(answers[0].values, ElementsAre(1, 0)) << content;
  }
}

TEST(LlmValues, FailsQuestionByQuestion) {
  const auto answers = read(
      R"({"answers": [{"id": 1, "v": [1]}, {"id": 2, "v": [1,1]}, {"id": 3, "v": [2]}, {"id": 4, "v": ["x"]},
          {"id": 5, "v": [0]}, {"id": 5, "v": [1]}, {"id": 7, "v": [-1]}, {"id": 99, "v": [1]}, {"id": 8, "v": 1}]})",
      {1, 1, 1, 1, 1, 1, 1, 1});
  EXPECT_EQ(answers[0].status, AnswerStatus::ok);
  const std::vector<std::string> problems = {"",
                                             "expected 1 values, got 2",
                                             "expected values of 0..1, got another",
                                             "expected values of 0..1, got another",
                                             "expected one answer, got 2",
                                             "expected one answer, got 0",
                                             "expected values of 0..1, got another",
                                             "expected one answer, got 0"};
  for (std::size_t i = 1; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].status, AnswerStatus::unparsable) << i;
    EXPECT_EQ(answers[i].detail, problems[i]) << i;
    EXPECT_TRUE(answers[i].values.empty()) << i;
  }
}

TEST(LlmValues, TellsProseFromRefusal) {
  EXPECT_EQ(read("It fires in the first.", {1, 1})[1].status, AnswerStatus::unparsable);
  EXPECT_EQ(read("I'm sorry, but I can't.", {1})[0].status, AnswerStatus::refused);
  EXPECT_EQ(read("", {1})[0].status, AnswerStatus::unparsable);
}

/// The content in tokens, some with alternatives.
ChatAnswer in_tokens(const std::vector<AnswerToken>& tokens) {
  ChatAnswer answer;
  answer.tokens = tokens;
  for (const AnswerToken& token : tokens) answer.content += token.text;
  return answer;
}

TEST(LlmValues, ReadsProbabilities) {
  const auto log = [](double p) { return static_cast<float>(std::log(p)); };
  // P(1) / (P(0) + P(1)), other tokens left out; also where the digit shares its token with marks.
  const ChatAnswer answer =
      in_tokens({{R"({"id": 1, "v": [)", {}},
                 {"1", {{"1", log(0.6)}, {"0", log(0.2)}, {"2", log(0.1)}, {" 1", log(0.1)}}},
                 {",0", {{",0", log(0.9)}, {",1", log(0.1)}}},
                 {",", {}},
                 {"0", {}},
                 {",1]", {{",1]", log(0.5)}, {"]", log(0.5)}}},
                 {"}", {}}});
  const Answer read = read_values(answer, std::vector<std::size_t>{4}, 1).front();
  ASSERT_EQ(read.status, AnswerStatus::ok) << read.detail;
  EXPECT_NEAR(read.values[0], 0.75, 1e-6);
  EXPECT_NEAR(read.values[1], 0.1, 1e-6);
  EXPECT_EQ(read.values[2], 0) << "no probabilities: as it is written";
  EXPECT_EQ(read.values[3], 1);
}

TEST(LlmValues, ReadsExpectedLevels) {
  const auto log = [](double p) { return static_cast<float>(std::log(p)); };
  const ChatAnswer answer =
      in_tokens({{R"({"id":1,"v":[)", {}},
                 {"8", {{"8", log(0.5)}, {"10", log(0.25)}, {"4", log(0.25)}}},
                 {",", {}},
                 {"1", {{"1", log(0.9)}, {"0", log(0.1)}}},  // of "10", in two tokens
                 {"0", {}},
                 {"]}", {}}});
  const Answer read = read_values(answer, std::vector<std::size_t>{2}, 10).front();
  ASSERT_EQ(read.status, AnswerStatus::ok) << read.detail;
  EXPECT_NEAR(read.values[0], 7.5, 1e-5);
  EXPECT_EQ(read.values[1], 10);
}

}  // namespace
}  // namespace safesail
