#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/field_error.h"
#include "serve/completion_request.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string complaint(const std::string& body) {
  try {
    parse_completion_request(body);
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    EXPECT_THAT(error.what(), Not(HasSubstr("file"))) << "a request is none";
    return error.what();
  }
  return "";
}

std::string field_at_fault(const std::string& body) {
  try {
    parse_completion_request(body);
  } catch (const FieldError& error) {
    return error.field();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(CompletionRequest, ReadsAll) {
  const CompletionRequest request = parse_completion_request(R"({
    "model": "m", "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["a", "b"],
    "stream": true, "stream_options": {"include_usage": true}, "logprobs": true, "top_logprobs": 4,
    "response_format": {"type": "text"}, "n": 1, "user": "who", "tools": null,
    "messages": [{"role": "system", "content": "be brief"},
                 {"role": "user", "content": [{"type": "text", "text": "he"}, {"type": "text", "text": "llo"}]}]})");
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.max_tokens, 7);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.seed, 3U);
  EXPECT_THAT(request.stop, ElementsAre("a", "b"));
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.stream_usage);
  EXPECT_EQ(request.n_alternatives, 4);
  ASSERT_EQ(request.messages.size(), 2U);
  EXPECT_EQ(request.messages[1].content, "hello");
}

TEST(CompletionRequest, HasDefaults) {
  const CompletionRequest request = parse_completion_request(
      R"({"messages": [{"role": "user", "content": "hi"}], "stop": "x", "max_completion_tokens": 9, "max_tokens": 8})");
  EXPECT_EQ(request.sampling.temperature, 1);
  EXPECT_THAT(request.stop, ElementsAre("x"));
  EXPECT_EQ(request.max_tokens, 9);
  EXPECT_FALSE(request.stream);
  EXPECT_FALSE(request.n_alternatives);
}

TEST(CompletionRequest, WithoutASeedIsAnotherEachTime) {
  const std::string body = R"({"messages": [{"role": "user", "content": "hi"}], "temperature": 1)";
  const auto seed = [&](const std::string& rest) {
    return parse_completion_request(body + rest).sampling.seed;
  };
  EXPECT_NE(seed("}"), seed("}"));
  EXPECT_NE(seed(R"(, "seed": null})"), seed("}"));
  EXPECT_EQ(seed(R"(, "seed": 0})"), 0U);
}

TEST(CompletionRequest, TakesWhatAsksForNothing) {
  EXPECT_EQ(complaint(R"({
    "messages": [{"role": "user", "content": "hi", "name": null, "tool_calls": null}],
    "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "repetition_penalty": 1, "min_p": 0,
    "logit_bias": {}, "chat_template_kwargs": {}, "reasoning_effort": null, "top_k": -1,
    "user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "auto",
    "response_format": {"type": "text"}, "top_logprobs": null, "logprobs": false})"),
            "");
  const CompletionRequest request =
      parse_completion_request(R"({"messages": [{"role": "user", "content": "hi"}], "top_k": 5})");
  EXPECT_EQ(request.sampling.top_k, 5) << "this one is honoured";
  EXPECT_TRUE(request.template_arguments.is_null());
  EXPECT_EQ(parse_completion_request(R"({"messages": [{"role": "user", "content": "hi"}],
    "chat_template_kwargs": {"enable_thinking": false}})")
                .template_arguments["enable_thinking"],
            false);
}

TEST(CompletionRequest, ReadsTheRoomOfThinking) {
  const auto thinking = [](const std::string& room) {
    return parse_completion_request(R"({"messages": [{"role": "user", "content": "hi"}])" + room +
                                    "}")
        .thinking;
  };
  EXPECT_FALSE(thinking(""));
  EXPECT_EQ(thinking(R"(, "thinking": {"tokens": 0})")->tokens, 0);
  EXPECT_EQ(thinking(R"(, "thinking": {"tokens": 7, "seconds": 2.5})")->seconds, 2.5);
}

TEST(CompletionRequest, ReadsTheFormOfTheAnswer) {
  using Kind = ConstraintSource::Kind;
  const auto read = [](const std::string& field) {
    return parse_completion_request(R"({"messages": [{"role": "user", "content": "hi"}], )" +
                                    field + "}")
        .constraint;
  };
  EXPECT_FALSE(read(R"("response_format": {"type": "text"})"));
  EXPECT_FALSE(read(R"("structured_outputs": {"regex": null})"));
  struct Case {
    std::string field;
    Kind kind;
    std::string text, name;
  };
  // The keys of a schema stay in their order.
  const std::vector<Case> cases = {
      {R"("response_format": {"type": "json_object"})", Kind::json_schema, R"({"type": "object"})",
       "response_format"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "a", "description": "b",
          "strict": true, "schema": {"z": 1, "a": {"c": 2, "b": 3}}}})",
       Kind::json_schema, R"({"z":1,"a":{"c":2,"b":3}})", "response_format.json_schema.schema"},
      {R"("structured_outputs": {"json": {"z": 1, "a": 2}})", Kind::json_schema, R"({"z":1,"a":2})",
       "structured_outputs.json"},
      {R"("structured_outputs": {"json": "{\"z\": 1}"})", Kind::json_schema, R"({"z": 1})",
       "structured_outputs.json"},
      {R"("structured_outputs": {"choice": ["b", "a"]})", Kind::choice, R"(["b","a"])",
       "structured_outputs.choice"},
      {R"("structured_outputs": {"regex": "a+"})", Kind::regex, "a+", "structured_outputs.regex"},
      {R"("guided_json": {"z": 1, "a": 2})", Kind::json_schema, R"({"z":1,"a":2})", "guided_json"},
      {R"("guided_choice": ["x"])", Kind::choice, R"(["x"])", "guided_choice"},
      {R"("guided_regex": "[ab]")", Kind::regex, "[ab]", "guided_regex"}};
  for (const Case& one : cases) {
    const auto constraint = read(one.field);
    ASSERT_TRUE(constraint) << one.field;
    EXPECT_EQ(constraint->source.kind, one.kind) << one.field;
    EXPECT_EQ(constraint->source.text, one.text) << one.field;
    EXPECT_EQ(constraint->field, one.name);
  }
}

TEST(CompletionRequest, RefusesWhatItCannotHonour) {
  const auto with = [](const std::string& field) {
    return R"({"messages": [{"role": "user", "content": "hi"}], )" + field + "}";
  };
  // The complaint names the field, so that clients know what to leave out.
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("response_format": {"type": "json_schema"})", "response_format"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "a"}})", "schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"schema": [1]}})", "schema"},
      {R"("response_format": {"type": "grammar"})", "response_format"},
      {R"("response_format": {"type": "json_object", "depth": 3})", "response_format.depth"},
      {R"("response_format": "json")", "response_format"},
      {R"("structured_outputs": {"grammar": "a"})", "structured_outputs.grammar"},
      {R"("structured_outputs": {"json": 3})", "structured_outputs.json"},
      {R"("structured_outputs": {"choice": "a"})", "choice"},
      {R"("structured_outputs": {"choice": ["a"], "regex": "a"})", "structured_outputs.regex"},
      {R"("guided_regex": "a", "response_format": {"type": "json_object"})", "guided_regex"},
      {R"("guided_grammar": "a")", "guided_grammar"},
      {R"("response_format": {"type": "json_object"},
          "answer_form": {"text": "_", "slot": "_", "choices": ["0", "1"]})",
       "response_format"},
      {R"("tools": [])", "tools"},
      {R"("n": 2)", "'n'"},
      {R"("logit_bias": {"33": -100})", "'logit_bias'"},
      {R"("frequency_penalty": 0.5)", "'frequency_penalty'"},
      {R"("presence_penalty": -1)", "'presence_penalty'"},
      {R"("repetition_penalty": 1.1)", "'repetition_penalty'"},
      {R"("min_p": 0.05)", "'min_p'"},
      {R"("top_k": -2)", "'top_k'"},
      {R"("chat_template_kwargs": {"messages": []})", "'chat_template_kwargs'"},
      {R"("chat_template_kwargs": [])", "'chat_template_kwargs'"},
      {R"("reasoning_effort": "low")", "'reasoning_effort'"},
      {R"("ignore_eos": true)", "'ignore_eos'"},
      {R"("top_logprobs": 3)", "'top_logprobs'"},
      {R"("stream_options": {"continuous_usage_stats": true})", "continuous_usage_stats"},
      {R"("max_tokens": 0)", "max_tokens"},
      {R"("temperature": -1)", "temperature"},
      {R"("temperature": "hot")", "temperature"},
      {R"("top_p": 0)", "top_p"},
      {R"("logprobs": true, "top_logprobs": 21)", "top_logprobs"},
      {R"("stop": [""])", "stop"},
      {R"("thinking": {"tokens": -1})", "thinking"},
      {R"("thinking": {"seconds": 1})", "tokens"},
      {R"("thinking": {"tokens": 1, "effort": "low"})", "thinking.effort"},
      {R"("thinking": {"tokens": 1, "seconds": -1})", "thinking"},
      {R"("stop": 3)", "stop"},
      {R"("stop": ["a"], "answer_form": {"text": "_", "slot": "_", "choices": ["0", "1"]})",
       "stop"},
      {R"("answer_form": {"text": "none", "slot": "_", "choices": ["0", "1"]})", "answer_form"},
      {R"("answer_form": {"text": "_", "slot": "", "choices": ["0", "1"]})", "answer_form"},
      {R"("answer_form": {"text": "_", "slot": "_", "choices": ["0"]})", "answer_form"},
      {R"("answer_form": {"text": "_", "slot": "_", "choices": ["0", "1"], "top": 1})",
       "answer_form.top"},
      {R"("thinking": {"tokens": 1},
          "answer_form": {"text": "_", "slot": "_", "choices": ["0", "1"]})",
       "thinking"},
      {R"("stream": true, "answer_form": {"text": "_", "slot": "_", "choices": ["0", "1"]})",
       "stream"}};
  for (const auto& [field, name] : cases)
    EXPECT_THAT(complaint(with(field)), HasSubstr(name)) << field;
  for (const char* body :
       {"", "[]", "{}", "{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}",
        R"({"messages": []})", R"({"messages": ["hi"]})", R"({"messages": [{"role": "user"}]})",
        R"({"messages": [{"role": "user", "content": "hi", "name": "Ann"}]})",
        R"({"messages": [{"role": "assistant", "content": "", "tool_calls": []}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})"})
    EXPECT_NE(complaint(body), "") << body;
}

TEST(CompletionRequest, KnowsTheFieldAtFault) {
  const std::string hello = R"({"messages": [{"role": "user", "content": "hi"}], )";
  std::string many;
  for (std::size_t i = 0; i <= kMaxOrderedKeys; ++i)
    many += fmt::format(R"({}"k{}": {{}})", i == 0 ? "" : ", ", i);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{}", "messages"},
      {R"({"messages": ["hi"]})", "messages[0]"},
      {R"({"messages": [{"role": "user", "content": "a"}, {"role": "user"}]})",
       "messages[1].content"},
      {R"({"messages": [{"content": "a"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "user", "content": "a", "name": "Ann"}]})", "messages[0].name"},
      {R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})",
       "messages[0].content[0]"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})",
       "messages[0].content[0].text"},
      {hello + R"("temperature": "hot"})", "temperature"},
      {hello + R"("temperature": -1})", "temperature"},
      {hello + R"("top_p": 0})", "top_p"},
      {hello + R"("tools": []})", "tools"},
      {hello + R"("stop": [""]})", "stop"},
      {hello + R"("max_tokens": 0})", "max_tokens"},
      {hello + R"("chat_template_kwargs": []})", "chat_template_kwargs"},
      {hello + R"("stream_options": {"include_usage": 3}})", "stream_options.include_usage"},
      {hello + R"("thinking": {}})", "thinking.tokens"},
      {hello + R"("answer_form": {"text": "_", "choices": ["0", "1"]}})", "answer_form.slot"},
      {hello + R"("structured_outputs": {"choice": 3}})", "structured_outputs.choice"},
      {hello + R"("response_format": {"type": "json_schema"}})", "response_format.json_schema"},
      {hello + R"("guided_json": 3})", "guided_json"},
      {hello + R"("guided_json": {"properties": {)" + many + "}}}", "guided_json"}};
  for (const auto& [body, field] : cases) EXPECT_EQ(field_at_fault(body), field) << body;
  EXPECT_THAT(complaint(hello + R"("guided_json": {"properties": {)" + many + "}}}"),
              HasSubstr("guided_json#/properties: expected at most 1024 keys"));
}

TEST(CompletionRequest, KnowsTheRolesOfMessages) {
  const auto with = [](const std::string& role) {
    return R"({"messages": [{"role": "user", "content": "a"}, {"content": "b", "role": ")" + role +
           "\"}]}";
  };
  for (const char* role : {"wizard", "User", "", "tool"}) {
    EXPECT_THAT(complaint(with(role)), HasSubstr("system, developer, user, assistant")) << role;
    EXPECT_EQ(field_at_fault(with(role)), "messages[1].role") << role;
  }
  for (const char* role : {"system", "user", "assistant"})
    EXPECT_EQ(parse_completion_request(with(role)).messages[1].role, role);
  EXPECT_EQ(parse_completion_request(with("developer")).messages[1].role, "system");
}

TEST(CompletionRequest, AKeyIsThereOnce) {
  EXPECT_THAT(complaint(R"({"messages": [{"role": "user", "content": "a"}], "messages": []})"),
              HasSubstr("\"messages\" twice"));
  EXPECT_THAT(complaint(R"({"messages": [{"role": "user", "role": "system", "content": "a"}]})"),
              HasSubstr("\"role\" twice"));
}

TEST(CompletionRequest, KnowsWhichFieldLimitsTheAnswer) {
  const auto read = [](const std::string& rest) {
    return parse_completion_request(R"({"messages": [{"role": "user", "content": "hi"}])" + rest +
                                    "}");
  };
  EXPECT_EQ(read("").limited_by, "");
  EXPECT_EQ(read(R"(, "max_tokens": 3, "max_completion_tokens": null)").limited_by, "max_tokens");
  const CompletionRequest both = read(R"(, "max_tokens": 3, "max_completion_tokens": 4)");
  EXPECT_EQ(both.limited_by, "max_completion_tokens");
  EXPECT_EQ(both.max_tokens, 4);
}

}  // namespace
}  // namespace safesail
