#include "interpret/chat_answer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

Json completion(const Json& message, const std::string& finish_reason = "stop") {
  return {{"choices", Json::array({{{"message", message}, {"finish_reason", finish_reason}}})}};
}

ChatAnswer answered(const std::string& content, const std::string& finish_reason = "stop") {
  return parse_chat_answer(completion({{"content", content}}, finish_reason).dump());
}

TEST(ChatAnswer, ReadsContentAndUsage) {
  Json body = completion({{"content", " yes \n"}});
  body["usage"] = {{"prompt_tokens", 10},
                   {"completion_tokens", 7},
                   {"prompt_tokens_details", {{"cached_tokens", 4}}},
                   {"completion_tokens_details", {{"reasoning_tokens", 5}}}};
  const ChatAnswer answer = parse_chat_answer(body.dump());
  EXPECT_EQ(answer.content, "yes");
  EXPECT_EQ(answer.finish_reason, "stop");
  EXPECT_TRUE(answer.usage_given);
  EXPECT_EQ(answer.usage.prompt, 10U);
  EXPECT_EQ(answer.usage.cached, 4U);
  EXPECT_EQ(answer.usage.completion, 7U);
  EXPECT_EQ(answer.usage.reasoning, 5U);
}

TEST(ChatAnswer, BelievesNoImpossibleUsage) {
  Json body = completion({{"content", "yes"}});
  body["usage"] = {{"prompt_tokens", -5},
                   {"completion_tokens", 1e300},
                   {"prompt_tokens_details", {{"cached_tokens", 99}}},
                   {"completion_tokens_details", "none"}};
  const ChatAnswer answer = parse_chat_answer(body.dump());
  EXPECT_EQ(answer.usage.prompt, 0U);
  EXPECT_EQ(answer.usage.cached, 0U) << "no more than the prompt";
  EXPECT_LE(answer.usage.completion, std::uint64_t{1} << 32);
}

TEST(ChatAnswer, StripsThinking) {
  EXPECT_EQ(answered("<think>\nhm {\"a\": 1}\n</think>\n\nyes").content, "yes");
  EXPECT_EQ(answered("<think>\nhm\n</think>\n\nyes").thinking, "<think>\nhm\n");
  EXPECT_EQ(answered("<thinking>hm</thinking>yes").content, "yes");
  EXPECT_EQ(answered("the tag was opened in the prompt</think>yes").content, "yes");
  EXPECT_EQ(answered("<think>it never ends", "length").content, "");
  EXPECT_EQ(answered("no thinking").thinking, "");
  for (const std::string quoting :
       {R"({"short": "the closing tag </think>", "long": "Fires on </think>."})",
        R"(Here: {"short": "thinking tags", "long": "Fires on <thinking> and </thinking>."})"}) {
    EXPECT_EQ(answered(quoting).content, quoting) << "an answer about the tag";
    EXPECT_EQ(answered("hm {\"a\": 1}\n</think>" + quoting).content, quoting);
    EXPECT_EQ(answered("<think>hm</think>" + quoting).content, quoting);
  }

  Json body = completion({{"content", "yes"}, {"reasoning_content", std::string(400, 'x')}});
  body["usage"] = {{"prompt_tokens", 1}, {"completion_tokens", 150}};
  const ChatAnswer answer = parse_chat_answer(body.dump());
  EXPECT_EQ(answer.content, "yes");
  EXPECT_EQ(answer.usage.reasoning, 100U) << "counted from the text where it is not said";
}

TEST(ChatAnswer, ReadsContentInParts) {
  const Json parts = {{{"type", "text"}, {"text", "ye"}}, {{"type", "text"}, {"text", "s"}}};
  EXPECT_EQ(parse_chat_answer(completion({{"content", parts}}).dump()).content, "yes");
}

TEST(ChatAnswer, KeepsTheTokensOfTheContent) {
  Json body = completion({{"content", "<think>a</think> v1"}});
  Json tokens = Json::array();
  for (const char* text : {"<think>", "a", "</think>", " v", "1", "<|end|>"})
    tokens.push_back({{"token", text},
                      {"top_logprobs",
                       {{{"token", text}, {"logprob", -0.1}}, {{"token", "x"}, {"logprob", -3}}}}});
  body["choices"][0]["logprobs"] = {{"content", tokens}};
  const ChatAnswer answer = parse_chat_answer(body.dump());
  EXPECT_EQ(answer.content, "v1");
  ASSERT_EQ(answer.tokens.size(), 2U);
  EXPECT_EQ(answer.tokens[0].text, "v") << "its blank is not of the content";
  EXPECT_TRUE(answer.tokens[0].alternatives.empty());
  EXPECT_EQ(answer.tokens[1].text, "1");
  ASSERT_EQ(answer.tokens[1].alternatives.size(), 2U);
  EXPECT_FLOAT_EQ(answer.tokens[1].alternatives[1].second, -3);

  body["choices"][0]["logprobs"]["content"][3]["token"] = "other";
  EXPECT_TRUE(parse_chat_answer(body.dump()).tokens.empty())
      << "texts that do not fit tell nothing";
}

TEST(ChatAnswer, TellsRefusals) {
  EXPECT_EQ(status_of(answered("yes")), AnswerStatus::ok);
  EXPECT_EQ(status_of(answered("partly", "content_filter")), AnswerStatus::refused);
  EXPECT_EQ(status_of(answered("")), AnswerStatus::refused);
  EXPECT_EQ(status_of(answered("", "length")), AnswerStatus::ok) << "cut short is not refused";
  EXPECT_EQ(status_of(parse_chat_answer(
                completion({{"content", nullptr}, {"refusal", "I will not."}}).dump())),
            AnswerStatus::refused);
  for (const char* text :
       {"I'm sorry, but I can't", "I\u2019m sorry", "  Sorry, no", "I cannot help", "抱歉，我"})
    EXPECT_TRUE(opens_as_refusal(text)) << text;
  for (const char* text : {"The feature fires at 'I'm sorry'", "", "{\"short\": \"apologies\"}"})
    EXPECT_FALSE(opens_as_refusal(text)) << text;
}

TEST(ChatAnswer, RefusesWhatIsNone) {
  for (const char* body :
       {"", "{}", "[]", "null", R"({"choices": []})", R"({"choices": [{}]})",
        R"({"choices": [{"message": "hi"}]})", R"({"choices": [{"message": {"content": "cut)"})
    EXPECT_THROW(parse_chat_answer(body), Error) << body;
  EXPECT_THROW(parse_chat_answer(std::string(100'000, '[')), Error);
}

TEST(ErrorText, ShowsWhatTheEndpointSaid) {
  EXPECT_EQ(error_text(R"({"error": {"message": "no", "type": "auth", "code": "bad_key"}})"),
            "no [code: bad_key] [type: auth]");
  EXPECT_EQ(error_text(R"({"error": "no"})"), "no");
  EXPECT_EQ(error_text(R"({"message": "no"})"), "no");
  EXPECT_EQ(error_text(R"({"detail": "no"})"), "no");
  EXPECT_EQ(error_text(R"({"detail": [{"msg": "no"}], "type": "bad"})"),
            R"([{\"msg\":\"no\"}] [type: bad])");
  EXPECT_EQ(error_text(R"({"object": "error", "message": {"detail": "no"}, "type": "bad"})"),
            R"({\"detail\":\"no\"} [type: bad])");
  EXPECT_EQ(error_text(R"({"error": {"code": 7}})"), R"({\"error\": {\"code\": 7}})");
  EXPECT_EQ(error_text("<html>\x1b[31m"), "<html>\\u001b[31m") << "nothing that a terminal obeys";
  EXPECT_LE(error_text(std::string(5000, 'x')).size(), 300U);
}

TEST(ErrorText, FindsTheStatusThatA200Hides) {
  EXPECT_EQ(error_status(R"({"error": {"message": "pay", "code": 402}})"), 402);
  for (const char* body : {"", "{}", R"({"error": {"code": 200}})", R"({"error": {"code": "402"}})",
                           R"({"error": 402})", R"({"error": {"code": 1e300}})"})
    EXPECT_EQ(error_status(body), 0) << body;
}

}  // namespace
}  // namespace safesail
