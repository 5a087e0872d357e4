#include "interpret/chat_request.h"

#include <gtest/gtest.h>

#include "formats/json.h"

namespace safesail {
namespace {

EndpointSettings settings() {
  EndpointSettings s;
  s.base_url = "http://127.0.0.1/v1";
  s.model = "m";
  s.seed = 3;
  s.thinking_tokens = 1000;
  return s;
}

ChatRequest request() {
  return {.purpose = "p",
          .feature = "f",
          .messages = {{"system", "be brief"}, {"user", "hello \xff"}},
          .schema = R"({"type": "object"})",
          .max_tokens = 50,
          .top_logprobs = 5};
}

TEST(ChatRequest, IsWrittenAsTheApiWantsIt) {
  const Json body = Json::parse(chat_body(request(), settings(), {}));
  EXPECT_EQ(body.at("model"), "m");
  EXPECT_EQ(body.at("messages").size(), 2U);
  EXPECT_EQ(body.at("messages")[1].at("content"), "hello \uFFFD") << "no UTF-8 in, UTF-8 out";
  EXPECT_EQ(body.at("max_tokens"), 1050) << "thinking has room of its own";
  EXPECT_EQ(body.at("seed"), 3);
  EXPECT_EQ(body.at("temperature"), 0);
  EXPECT_EQ(body.at("response_format").at("json_schema").at("schema").at("type"), "object");
  EXPECT_EQ(body.at("top_logprobs"), 5);
}

TEST(ChatRequest, LeavesOutWhatTheDialectLacks) {
  const ChatDialect plain{.schema = ChatDialect::Schema::none,
                          .logprobs = false,
                          .seed = false,
                          .temperature = false,
                          .system_role = false,
                          .max_completion_tokens = true};
  const Json body = Json::parse(chat_body(request(), settings(), plain));
  EXPECT_EQ(body.size(), 3U) << body.dump();
  EXPECT_EQ(body.at("max_completion_tokens"), 1050);
  ASSERT_EQ(body.at("messages").size(), 1U);
  EXPECT_EQ(body.at("messages")[0].at("content"), "be brief\n\nhello \uFFFD");
}

TEST(ChatRequest, NamesTheRoomOfThinkingWhereThatIsSpoken) {
  EXPECT_FALSE(Json::parse(chat_body(request(), settings(), {})).contains("thinking"));
  EndpointSettings ours = settings();
  ours.answer_forms = true;
  ours.thinking_seconds = 2.5;
  const Json body = Json::parse(chat_body(request(), ours, {}));
  EXPECT_EQ(body.at("thinking"), Json({{"tokens", 1000}, {"seconds", 2.5}}));
  EXPECT_EQ(body.at("max_tokens"), 1050);
}

TEST(ChatRequest, AsksForAFormWhereThatIsSpoken) {
  ChatRequest asked = request();
  asked.form = R"({"v": [_,_]})";
  EXPECT_FALSE(Json::parse(chat_body(asked, settings(), {})).contains("answer_form"));
  EndpointSettings ours = settings();
  ours.answer_forms = true;
  const Json body = Json::parse(chat_body(asked, ours, {}));
  EXPECT_EQ(body.at("answer_form").at("text"), asked.form);
  EXPECT_EQ(body.at("answer_form").at("choices"), Json::array({"0", "1"}));
  asked.form_max = 3;
  EXPECT_EQ(Json::parse(chat_body(asked, ours, {})).at("answer_form").at("choices"),
            Json::array({"0", "1", "2", "3"}));
  EXPECT_FALSE(body.contains("response_format"));
  EXPECT_NE(request_hash(asked, ours), request_hash(asked, settings()))
      << "other answers come of it";
}

TEST(ChatRequest, HashNamesTheQuestion) {
  const std::string hash = request_hash(request(), settings());
  ChatRequest other = request();
  other.purpose = "q";
  other.feature = "g";
  EXPECT_EQ(request_hash(other, settings()), hash) << "the same question for another purpose";
  other.messages[1].content += "!";
  EXPECT_NE(request_hash(other, settings()), hash);
  EndpointSettings elsewhere = settings();
  elsewhere.seed = 4;
  EXPECT_NE(request_hash(request(), elsewhere), hash);
  elsewhere = settings();
  elsewhere.base_url = "http://127.0.0.2/v1";
  EXPECT_NE(request_hash(request(), elsewhere), hash);
  elsewhere = settings();
  elsewhere.timeout = std::chrono::milliseconds(1);
  EXPECT_EQ(request_hash(request(), elsewhere), hash);
}

TEST(ChatDialect, LearnsFromComplaints) {
  const ChatDialect full;
  using Schema = ChatDialect::Schema;
  EXPECT_EQ(adapt(full, request(), "response_format: unknown").schema, Schema::none)
      << "without bounds it would be the same again";
  ChatRequest bounded = request();
  bounded.schema = R"({"type": "string", "maxLength": 9})";
  const ChatDialect loose = adapt(full, bounded, "Invalid JSON schema: maxLength");
  EXPECT_EQ(loose.schema, Schema::plain);
  EXPECT_EQ(Json::parse(chat_body(bounded, settings(), loose))
                .at("response_format")
                .at("json_schema")
                .at("schema"),
            Json::parse(R"({"type": "string"})"));
  EXPECT_EQ(adapt(loose, bounded, "Invalid JSON schema").schema, Schema::none);
  EXPECT_EQ(adapt(full, request(), "something is wrong"), full) << "nothing is guessed";
  EXPECT_EQ(adapt(full, request(), "the model seed is loading", "seed"), full);
  EXPECT_EQ(adapt(full, request(), "the model is loading", ""), full);
  EXPECT_TRUE(adapt(full, request(), "use max_completion_tokens", "x").max_completion_tokens)
      << "a name within a word is no name";
  EXPECT_EQ(adapt(full, request(), "the quota is exceeded, seedling, role of temperatures"), full)
      << "whole words only";
  EXPECT_FALSE(adapt(full, request(), "top_logprobs: extra inputs are not permitted").logprobs);
  EXPECT_FALSE(adapt(full, request(), "Logprobs are not available").logprobs);
  EXPECT_FALSE(adapt(full, request(), "'temperature' must be 1").temperature);
  EXPECT_FALSE(adapt(full, request(), "unknown field seed").seed);
  EXPECT_FALSE(adapt(full, request(), "System role not supported").system_role);
  EXPECT_TRUE(adapt(full, request(), "use 'max_completion_tokens'").max_completion_tokens);

  // Whatever it is told, it ends: every step leaves out one more.
  for (const char* complaint :
       {"no", "temperature, seed, logprobs, max_completion_tokens, system role"}) {
    ChatDialect dialect;
    int n_steps = 0;
    for (ChatDialect next = adapt(dialect, request(), complaint); next != dialect && n_steps < 100;
         next = adapt(dialect, request(), complaint)) {
      dialect = next;
      ++n_steps;
    }
    EXPECT_LE(n_steps, 6) << complaint;
  }
}

}  // namespace
}  // namespace safesail
