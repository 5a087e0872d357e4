// Answers of a form that was asked for: a schema, a choice, an expression, or slots to be filled.
#include <cstdint>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <httplib.h>
#include <regex>
#include <sstream>

#include "interpret/answer_schema.h"
#include "interpret/llm_simulator.h"
#include "interpret/llm_tagger.h"
#include "openai_testing.h"
#include "serve/completion.h"
#include "serve/schema_testing.h"

namespace safesail {
namespace {

using testing::HasSubstr;

class OpenAiFormsTest : public OpenAiTest {};

TEST_F(OpenAiFormsTest, AnswersInTheFormAskedFor) {
  Json body = question(200);
  body["temperature"] = 2;
  // Not in the order of the alphabet: that of the schema.
  const std::string schema = R"({"type": "object", "required": ["text", "count"],
    "additionalProperties": false, "properties": {
      "text": {"type": "string", "minLength": 1, "maxLength": 40},
      "count": {"type": "array", "minItems": 3, "maxItems": 3,
                "items": {"type": "integer", "minimum": 0, "maximum": 10}}}})";
  body["response_format"] = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "a"}, {"strict", true}, {"schema", "the schema"}}}};
  std::string text = body.dump();
  text.replace(text.find("\"the schema\""), 12, schema);
  const Json parsed_schema = Json::parse(schema);
  for (int seed = 0; seed < 6; ++seed) {
    const std::string seeded =
        fmt::format("{}, \"seed\": {}}}", text.substr(0, text.size() - 1), seed);
    const auto result = http().Post("/v1/chat/completions", seeded, "application/json");
    ASSERT_TRUE(result);
    ASSERT_EQ(result->status, 200) << result->body;
    const Json choice = Json::parse(result->body).at("choices")[0];
    const std::string content = choice.at("message").at("content");
    EXPECT_EQ(choice.at("finish_reason"), "stop") << content;
    EXPECT_EQ(Schema(parsed_schema).violation(Json::parse(content), parsed_schema), "") << content;
    EXPECT_LT(content.find("text"), content.find("count"));
  }
}

TEST_F(OpenAiFormsTest, AFormMayBeAChoiceAnExpressionOrAnyObject) {
  Json body = question(30);
  body["temperature"] = 2;
  body["structured_outputs"] = {{"choice", {"नमस्ते", "你好", "hello"}}};
  EXPECT_THAT(ask(body).at("choices")[0].at("message").at("content").get<std::string>(),
              ::testing::AnyOf("नमस्ते", "你好", "hello"));
  body["structured_outputs"] = {{"regex", "[0-9]{2}:[0-9]{2} (am|pm)"}};
  const std::string time = ask(body).at("choices")[0].at("message").at("content");
  EXPECT_TRUE(std::regex_match(time, std::regex("[0-9]{2}:[0-9]{2} (am|pm)"))) << time;
  body.erase("structured_outputs");
  body["response_format"] = {{"type", "json_object"}};
  const Json cut = ask(body).at("choices")[0];
  const std::string content = cut.at("message").at("content");
  EXPECT_TRUE(content.starts_with("{")) << content;
  EXPECT_EQ(Json::accept(content), cut.at("finish_reason") == "stop") << content;
  body.erase("response_format");
  body["guided_regex"] = "[0-9]{9}";
  body["max_tokens"] = 1;
  EXPECT_EQ(ask(body).at("choices")[0].at("finish_reason"), "length");
}

TEST_F(OpenAiFormsTest, ProbabilitiesAreTheModelsOwnWhateverTheForm) {
  Json body = question(1);
  body["logprobs"] = true;
  body["top_logprobs"] = 3;
  const Json free = ask(body).at("choices")[0].at("logprobs").at("content")[0];
  body["structured_outputs"] = {{"choice", {"7"}}};
  const Json formed = ask(body).at("choices")[0].at("logprobs").at("content")[0];
  EXPECT_EQ(formed.at("token"), "7");
  EXPECT_EQ(formed.at("top_logprobs"), free.at("top_logprobs"));
  EXPECT_LT(formed.at("logprob"), free.at("top_logprobs")[2].at("logprob"))
      << "the least likely answer, so that this is a test";
}

TEST_F(OpenAiFormsTest, StreamsAFormTheSame) {
  Json body = question(60);
  body["guided_regex"] = "([a-z]{3,8} ){4}";
  const std::string content = ask(body).at("choices")[0].at("message").at("content");
  EXPECT_TRUE(std::regex_match(content, std::regex("([a-z]{3,8} ){4}"))) << content;
  body["stream"] = true;
  const auto result = http().Post("/v1/chat/completions", body.dump(), "application/json");
  ASSERT_TRUE(result);
  std::istringstream lines(result->body);
  std::string joined;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("data: {"))
      joined += Json::parse(line.substr(6)).at("choices")[0].at("delta").value("content", "");
  EXPECT_EQ(joined, content);
  EXPECT_THAT(result->body, HasSubstr("\"finish_reason\":\"stop\""));
}

TEST_F(OpenAiFormsTest, NamesTheFormThatItCannotHold) {
  Json body = question(5);
  body["response_format"] = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "a"}, {"schema", {{"type", "array"}, {"uniqueItems", true}}}}}};
  for (const bool stream : {false, true}) {
    body["stream"] = stream;
    const Json error = ask(body, 400).at("error");
    EXPECT_THAT(error.at("message"), HasSubstr("response_format"));
    EXPECT_THAT(error.at("message"), HasSubstr("uniqueItems"));
    EXPECT_EQ(error.at("type"), "invalid_request_error");
  }
  body = question(5);
  body["structured_outputs"] = {{"regex", "(?=a)b"}};
  EXPECT_THAT(ask(body, 400).at("error").at("message"), HasSubstr("structured_outputs.regex"));
  body.erase("structured_outputs");
  const std::string field = "response_format.json_schema.schema";
  const auto schema = [&](const char* text) {
    body["response_format"] = {{"type", "json_schema"},
                               {"json_schema", {{"name", "a"}, {"schema", Json::parse(text)}}}};
    const Json error = ask(body, 400).at("error");
    EXPECT_EQ(error.at("param"), field);
    return error.at("message").get<std::string>();
  };
  EXPECT_THAT(schema(R"({"properties": {"age": {"minimum": 1e30}}})"),
              HasSubstr(field + "#/properties/age/minimum: expected"));
  EXPECT_THAT(
      schema(R"({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}})"),
      HasSubstr(field + "#/properties/a: expected a value that can end"));
  EXPECT_EQ(ask(question(2)).at("usage").at("completion_tokens"), 2) << "and others are answered";
}

TEST_F(OpenAiFormsTest, OurSchemasHoldAModelThatRambles) {
  std::vector<TagLabels> labels;
  for (const SafetyDomain& domain : kSafetyDomains) {
    labels.push_back({domain.name, {}});
    for (const std::string_view name : domain.subclasses)
      if (!name.empty()) labels.back().subclasses.push_back(name);
  }
  const std::vector<std::size_t> n_units = {3, 1, 12};
  const ConstraintVocabulary vocabulary(model_->tokenizer, model_->model.spec().eos);
  const std::vector<std::string> schemas = {explanation_schema(), tags_schema(labels),
                                            values_schema(n_units, 9), values_schema(n_units, 1)};
  Generator generator(model_->model);
  std::vector<std::vector<std::int32_t>> answers;
  for (std::uint64_t seed = 0; seed < 4; ++seed)
    for (const std::string& schema : schemas) {
      CompletionRequest request;
      request.messages = {{"user", "Answer with JSON of this schema: " + schema}};
      const ConstraintSource source{ConstraintSource::Kind::json_schema, schema};
      generator.add(completion_prompt(*model_, request).ids,
                    {.max_new_tokens = 1000,
                     .sampling = {.temperature = 2, .seed = seed},
                     .constraint = std::make_shared<Constraint>(vocabulary, source, "test")});
      answers.emplace_back();
    }
  while (!generator.empty())
    for (const SequenceStep& step : generator.step().sequences) {
      if (step.token) answers[step.sequence].push_back(*step.token);
      EXPECT_EQ(step.end.value_or(SequenceEnd::stop_token), SequenceEnd::stop_token);
    }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::string answer = model_->tokenizer.decode(answers[i], false);
    const Json schema = Json::parse(schemas[i % schemas.size()]);
    ASSERT_TRUE(Json::accept(answer)) << answer;
    EXPECT_EQ(Schema(schema).violation(Json::parse(answer), schema), "") << answer;
  }
}

TEST_F(OpenAiFormsTest, FillsForms) {
  Json body = question(100);
  body["answer_form"] = {
      {"text", "{\"v\": [_,_], \"w\": [_]}"}, {"slot", "_"}, {"choices", {"0", "1"}}};
  body["logprobs"] = true;
  const Json answer = ask(body);
  const std::string content = answer.at("choices")[0].at("message").at("content");
  const Json filled = Json::parse(content);
  ASSERT_EQ(filled.at("v").size(), 2U) << content;
  const Json& tokens = answer.at("choices")[0].at("logprobs").at("content");
  std::string joined;
  int n_slots = 0;
  for (const Json& token : tokens) {
    joined += token.at("token");
    const Json& top = token.at("top_logprobs");
    if (top.empty()) continue;
    ++n_slots;
    ASSERT_EQ(top.size(), 2U);
    EXPECT_GE(top[0].at("logprob"), top[1].at("logprob"));
    EXPECT_LT(top[0].at("logprob"), 0);
  }
  EXPECT_EQ(joined, content);
  EXPECT_EQ(n_slots, 3);
  // At least a token a slot, and the whole form cannot be more tokens than bytes.
  EXPECT_GE(answer.at("usage").at("completion_tokens"), 3);
  EXPECT_LE(answer.at("usage").at("completion_tokens"), content.size());

  EXPECT_EQ(answer.at("usage").at("prompt_tokens_details").at("cached_tokens"), 0);
  const Json again = ask(body);
  EXPECT_EQ(again.at("choices"), answer.at("choices"));
  const int n_known = again.at("usage").at("prompt_tokens_details").at("cached_tokens");
  EXPECT_GT(n_known, 0) << "what stands before the last message was kept";
  EXPECT_LT(n_known, again.at("usage").at("prompt_tokens"));

  const int n_form = answer.at("usage").at("completion_tokens");
  body["max_tokens"] = n_form;
  EXPECT_EQ(ask(body).at("choices"), answer.at("choices"));
  body["max_tokens"] = n_form - 1;
  EXPECT_EQ(ask(body, 400).at("error").at("param"), "max_tokens");
  body.erase("max_tokens");
  EXPECT_EQ(ask(body).at("choices"), answer.at("choices"));

  body["answer_form"]["choices"] = {"0", "a word or two"};
  EXPECT_THAT(ask(body, 400).at("error").at("message"), HasSubstr("answer_form"));
}

TEST_F(OpenAiFormsTest, ServesOurSimulatorFromOnePass) {
  EndpointSettings settings;
  settings.base_url = url_;
  settings.model = "smol";
  settings.answer_forms = true;
  Budget budget({}, {});
  ChatClient client(settings, {}, budget, nullptr, reporter_);
  LlmSimulator simulator(client);
  const std::vector<Question> asked(
      3, {.text = "the bomb went off", .units = {{0, 8}, {9, 17}}, .marked = {{4, 8}}});
  for (const Scorer scorer : {Scorer::segment, Scorer::token, Scorer::detection, Scorer::fuzzing}) {
    std::vector<Question> questions = asked;
    const bool is_whole = scorer == Scorer::detection || scorer == Scorer::fuzzing;
    if (is_whole)
      for (Question& question : questions) question.units = {{0, 17}};
    for (const Answer& answer : simulator.answer(scorer, {.text = "bombs"}, questions).answers) {
      ASSERT_EQ(answer.status, AnswerStatus::ok) << answer.detail;
      ASSERT_EQ(answer.values.size(), questions[0].units.size());
      for (const float value : answer.values) {
        EXPECT_GT(value, 0) << "a mean over all choices";
        EXPECT_LT(value, scorer == Scorer::token ? kMaxLevel : 1);
      }
    }
  }
}

}  // namespace
}  // namespace safesail
