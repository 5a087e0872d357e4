#include "serve/trace_request.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace safesail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TraceRequest, ReadsTextsMessagesAndOptions) {
  const AskedTrace text = parse_trace_request(
      R"({"text": "rain", "domains": ["terror"], "min_score": 0.25, "top_n": 3,)"
      R"( "saes": ["a/b"], "unlisted": true, "mask_special": true, "interventions": []})");
  EXPECT_EQ(std::get<std::string>(text.prompt), "rain");
  EXPECT_THAT(text.options.domains, ElementsAre("terror"));
  EXPECT_THAT(text.options.saes, ElementsAre("a/b"));
  EXPECT_EQ(text.options.min_score, 0.25);
  EXPECT_EQ(text.options.top_n, 3u);
  EXPECT_TRUE(text.options.unlisted && text.options.mask_special);

  const AskedTrace chat = parse_trace_request(
      R"({"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": true})");
  const auto& asked = std::get<AskedMessages>(chat.prompt);
  EXPECT_EQ(asked.messages.at(0).content, "hi");
  EXPECT_TRUE(asked.add_generation_prompt);
}

TEST(TraceRequest, ReadsChatsAndComparisons) {
  const AskedChat chat =
      parse_chat_request(R"({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 7,)"
                         R"( "temperature": 0.5, "top_k": 5, "top_p": 0.9, "seed": 3})");
  EXPECT_EQ(chat.generation.max_new_tokens, 7);
  EXPECT_EQ(chat.generation.sampling.temperature, 0.5);
  EXPECT_EQ(chat.generation.sampling.top_k, 5);
  EXPECT_EQ(chat.generation.sampling.seed, 3u);
  EXPECT_TRUE(chat.prompt.add_generation_prompt);
  EXPECT_TRUE(chat.prompt.template_arguments.is_null());
  const AskedChat quiet = parse_chat_request(
      R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}], "name": "x"}],)"
      R"( "chat_template_kwargs": {"enable_thinking": false}})");
  EXPECT_EQ(quiet.prompt.messages[0].content, "a");
  EXPECT_EQ(quiet.prompt.messages[0].fields["name"], "x");
  EXPECT_EQ(quiet.prompt.template_arguments["enable_thinking"], false);

  const AskedComparison compare = parse_compare_request(
      R"({"prompts": [{"label": "x", "text": "a"}, {"messages": [{"role": "user",)"
      R"( "content": "b"}]}], "max_tokens": 2})");
  ASSERT_EQ(compare.prompts.size(), 2u);
  EXPECT_EQ(compare.prompts[0].label, "x");
  EXPECT_EQ(compare.prompts[1].label, "2");
  EXPECT_TRUE(std::get<AskedMessages>(compare.prompts[1].prompt).add_generation_prompt)
      << "where answers are wanted";
}

TEST(TraceRequest, NamesWhatIsWrong) {
  const auto message = [](auto parse, const std::string& body) -> std::string {
    try {
      parse(body);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      return error.what();
    }
    return "no error";
  };
  const std::pair<std::string, std::string> traces[] = {
      {"", "request"},
      {"[]", "object"},
      {R"({"text": "a", "temprature": 1})", "temprature"},
      {R"({"text": "a", "text": "b"})", "text"},
      {R"({"text": 3})", "text"},
      {R"({"text": "a", "chat_template_kwargs": {}})", "'chat_template_kwargs'"},
      {R"({"text": "a", "add_generation_prompt": true})", "'add_generation_prompt'"},
      {"{}", "'text' and 'messages'"},
      {R"({"text": "a", "messages": []})", "'text' and 'messages'"},
      {R"({"messages": []})", "messages"},
      {R"({"messages": [3]})", "messages"},
      {R"({"messages": [{"role": "user"}]})", "content"},
      {R"({"messages": [{"role": "user", "content": null}]})", "got null"},
      {R"({"messages": [{"role": "user", "content": "a"}], "chat_template_kwargs": 1})",
       "an object"},
      {R"({"text": "a", "top_n": -1})", "top_n"},
      {R"({"text": "a", "top_n": 1.5})", "top_n"},
      {R"({"text": "a", "domains": "terror"})", "domains"},
      {R"({"text": "a", "interventions": [{}]})", "interventions"},
      {std::string("{\"text\": \"\xff\"}"), "request"},
      {std::string(40, '['), "request"}};
  for (const auto& [body, says] : traces)
    EXPECT_THAT(message(parse_trace_request, body), HasSubstr(says)) << body;
  const std::string ask = R"({"messages": [{"role": "user", "content": "a"}], )";
  const std::pair<std::string, std::string> chats[] = {
      {ask + R"("max_tokens": 0})", "max_tokens"},
      {ask + R"("temperature": -1})", "temperature"},
      {ask + R"("top_p": 0})", "top_p"},
      {ask + R"("seed": -1})", "seed"},
      {ask + R"("text": "a"})", "text"}};
  for (const auto& [body, says] : chats)
    EXPECT_THAT(message(parse_chat_request, body), HasSubstr(says)) << body;
  const std::pair<std::string, std::string> comparisons[] = {
      {"{}", "prompts"},
      {R"({"prompts": [{"text": "a"}]})", "2 to 8"},
      {R"({"prompts": [{"text": "a"}, {"txt": "b"}]})", "prompts[1]"}};
  for (const auto& [body, says] : comparisons)
    EXPECT_THAT(message(parse_compare_request, body), HasSubstr(says)) << body;
}

}  // namespace
}  // namespace safesail
