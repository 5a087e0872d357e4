// The local engine as an endpoint, on the packaged model, asked as any client would and by our own.
#include "serve/openai.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "base/installed_testing.h"
#include "base/utf8.h"
#include "endpoint_testing.h"
#include "interpret/answer_schema.h"
#include "interpret/llm_simulator.h"
#include "interpret/llm_tagger.h"
#include "serve/completion.h"
#include "serve/local_endpoint.h"
#include "serve/schema_testing.h"
#include "serve/serve_testing.h"
#include "tiny_model.h"
#include "workspace.h"

namespace safesail {
namespace {

using testing::HasSubstr;
using testing::Not;

class OpenAiTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!fs::exists(packaged_model())) return;
    SilentReporter silent;
    model_ = std::make_unique<TextModel>(load_text_model(packaged_model(), {}, silent));
  }
  static void TearDownTestSuite() { model_.reset(); }

  void SetUp() override {
    SAFESAIL_NEED_INSTALLED(packaged_model());
    start({.port = 0, .model_name = "smol"});
  }
  void TearDown() override { end(); }

  void start(OpenAiServerOptions options) {
    end();
    stop_ = {};
    server_ = std::make_unique<OpenAiServer>(*model_, options, reporter_);
    thread_ = std::thread([this] { server_->run(stop_.get_token()); });
    url_ = fmt::format("http://127.0.0.1:{}/v1", server_->port());
  }
  void end() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  httplib::Client http() const {
    httplib::Client client("127.0.0.1", server_->port());
    client.set_read_timeout(120);
    return client;
  }

  Json question(int max_tokens) const {
    return {{"model", "smol"},
            {"messages", {{{"role", "user"}, {"content", "Count from one to ten."}}}},
            {"temperature", 0},
            {"max_tokens", max_tokens}};
  }
  Json ask(const Json& body, int status = 200) const {
    const auto result = http().Post("/v1/chat/completions", body.dump(), "application/json");
    if (!result) {
      ADD_FAILURE() << "no answer: " << to_string(result.error());
      return {};
    }
    EXPECT_EQ(result->status, status) << result->body;
    return Json::parse(result->body);
  }

  static inline std::unique_ptr<TextModel> model_;
  ListeningReporter reporter_;
  std::unique_ptr<OpenAiServer> server_;
  std::stop_source stop_;
  std::thread thread_;
  std::string url_;
};

TEST_F(OpenAiTest, ListsItsModel) {
  const auto result = http().Get("/v1/models");
  ASSERT_TRUE(result);
  EXPECT_EQ(Json::parse(result->body).at("data").at(0).at("id"), "smol");
}

TEST_F(OpenAiTest, TellsOfItsModelByName) {
  start({.port = 0, .model_name = "hub/smol"});
  const auto result = http().Get("/v1/models/hub/smol");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200) << result->body;
  EXPECT_EQ(Json::parse(result->body).at("id"), "hub/smol");
  const auto other = http().Get("/v1/models/gpt");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->status, 404);
  EXPECT_EQ(Json::parse(other->body).at("error").at("code"), "model_not_found");
}

TEST_F(OpenAiTest, SamplesAnewWithoutASeed) {
  Json body = question(24);
  body["temperature"] = 1;
  std::set<std::string> unseeded, seeded;
  for (int i = 0; i < 3; ++i) {
    unseeded.insert(ask(body).at("choices")[0].at("message").at("content").dump());
    Json again = body;
    again["seed"] = 5;
    seeded.insert(ask(again).at("choices")[0].at("message").at("content").dump());
  }
  EXPECT_GT(unseeded.size(), 1U);
  EXPECT_EQ(seeded.size(), 1U);
}

TEST_F(OpenAiTest, GivesTheBytesOfPartsOfCharacters) {
  // The model answers with a character that is several tokens.
  Json body = question(10);
  body["messages"][0]["content"] = "🙂 café";
  body["logprobs"] = true;
  body["top_logprobs"] = 3;
  const Json answer = ask(body);
  const std::string content = answer.at("choices")[0].at("message").at("content");
  std::string joined;
  bool has_parts = false;
  for (const Json& token : answer.at("choices")[0].at("logprobs").at("content")) {
    std::string bytes;
    for (const int byte : token.at("bytes")) bytes += static_cast<char>(byte);
    if (!is_utf8(bytes)) {
      has_parts = true;
      EXPECT_THAT(token.at("token").get<std::string>(), HasSubstr("\\x"));
    } else {
      EXPECT_EQ(token.at("token"), bytes);
    }
    EXPECT_EQ(token.at("bytes"), token.at("top_logprobs")[0].at("bytes")) << "greedy";
    joined += bytes;
  }
  EXPECT_TRUE(has_parts) << "no token is part of a character, nothing was tested: " << content;
  // A character that the end cuts has bytes, and a sign in its place.
  EXPECT_TRUE(joined.starts_with(content.substr(0, content.find("\xEF\xBF\xBD")))) << joined;
}

TEST_F(OpenAiTest, AnswersWithProbabilities) {
  Json body = question(12);
  const Json plain = ask(body);
  const std::string content = plain.at("choices")[0].at("message").at("content");
  EXPECT_FALSE(content.empty());
  EXPECT_EQ(plain.at("choices")[0].at("finish_reason"), "length");
  EXPECT_EQ(plain.at("usage").at("completion_tokens"), 12);
  EXPECT_TRUE(plain.at("choices")[0].at("logprobs").is_null());

  body["logprobs"] = true;
  body["top_logprobs"] = 3;
  const Json answer = ask(body);
  EXPECT_EQ(answer.at("choices")[0].at("message").at("content"), content)
      << "greedy: the same again";
  const Json& tokens = answer.at("choices")[0].at("logprobs").at("content");
  ASSERT_EQ(tokens.size(), 12U);
  std::string joined;
  for (const Json& token : tokens) {
    joined += token.at("token");
    const Json& top = token.at("top_logprobs");
    ASSERT_EQ(top.size(), 3U);
    EXPECT_EQ(top[0].at("logprob"), token.at("logprob")) << "the likeliest was chosen";
    EXPECT_EQ(top[0].at("token"), token.at("token"));
    double share = 0;
    for (const Json& one : top) share += std::exp(one.at("logprob").get<double>());
    EXPECT_LE(share, 1 + 1e-4);  // rounding of f32 logarithms
  }
  EXPECT_EQ(joined, content);
}

TEST_F(OpenAiTest, StreamsTheSame) {
  Json body = question(12);
  const std::string content = ask(body).at("choices")[0].at("message").at("content");
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const auto result = http().Post("/v1/chat/completions", body.dump(), "application/json");
  ASSERT_TRUE(result);
  EXPECT_THAT(result->get_header_value("Content-Type"), HasSubstr("text/event-stream"));
  std::istringstream lines(result->body);
  std::string joined, finish, last;
  int n_tokens = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    ASSERT_TRUE(line.starts_with("data: ")) << line;
    last = line.substr(6);
    if (last == "[DONE]") continue;
    const Json event = Json::parse(last);
    if (event.contains("usage")) n_tokens = event.at("usage").at("completion_tokens");
    if (event.at("choices").empty()) continue;
    joined += event.at("choices")[0].at("delta").value("content", "");
    if (event.at("choices")[0].at("finish_reason").is_string())
      finish = event.at("choices")[0].at("finish_reason");
  }
  EXPECT_EQ(joined, content);
  EXPECT_EQ(finish, "length");
  EXPECT_EQ(last, "[DONE]");
  EXPECT_EQ(n_tokens, 12);
}

TEST_F(OpenAiTest, EndsAtStopTexts) {
  Json body = question(24);
  const std::string content = ask(body).at("choices")[0].at("message").at("content");
  ASSERT_GT(content.size(), 20U);
  // From the middle of a token to the middle of another: the pieces in between are held back.
  const std::string stop = content.substr(9, 7);
  body["stop"] = {"never said", stop};
  body["logprobs"] = true;
  const Json cut = ask(body);
  EXPECT_EQ(cut.at("choices")[0].at("message").at("content"),
            content.substr(0, content.find(stop)));
  EXPECT_EQ(cut.at("choices")[0].at("finish_reason"), "stop");
  std::string joined;
  for (const Json& token : cut.at("choices")[0].at("logprobs").at("content"))
    joined += token.at("token");
  EXPECT_EQ(joined, content.substr(0, content.find(stop)));
}

TEST_F(OpenAiTest, AnswersSeveralAtOnceEachItsOwn) {
  // More than it answers at once, some of them streamed by clients that leave.
  std::vector<Json> answers(10);
  std::vector<std::jthread> clients;
  for (int i = 0; i < 10; ++i)
    clients.emplace_back([&, i] { answers[static_cast<std::size_t>(i)] = ask(question(3 + i)); });
  for (int i = 0; i < 3; ++i)
    clients.emplace_back([&] {
      Json body = question(200);
      body["stream"] = true;
      httplib::Request leaving;
      leaving.method = "POST";
      leaving.path = "/v1/chat/completions";
      leaving.body = body.dump();
      leaving.set_header("Content-Type", "application/json");
      leaving.content_receiver = [](auto...) { return false; };
      http().send(leaving);
    });
  clients.clear();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(answers[static_cast<std::size_t>(i)].at("usage").at("completion_tokens"), 3 + i);
}

TEST_F(OpenAiTest, WhoHangsUpIsNotAnsweredToTheEnd) {
  start({.port = 0, .model_name = "smol", .max_active = 1});
  // So hot that no answer comes to its end token soon: three times 8,000 tokens, one after the
  // other, would take longer than the client's patience.
  Json body = question(8000);
  body["temperature"] = 2;
  for (int i = 0; i < 3; ++i) {
    body["seed"] = i;
    RawClient leaving(server_->port());
    ASSERT_TRUE(leaving.send(post_text("/v1/chat/completions", body)));
  }
  EXPECT_EQ(ask(question(2)).at("usage").at("completion_tokens"), 2);
}

TEST_F(OpenAiTest, ACompletionEndsWhenItIsNotWantedAnyMore) {
  PrefixCache openings(model_->model, 0);
  SharedGenerator generator(model_->model, openings, 1);
  CompletionRequest request;
  request.messages = {{"user", "Count from one to ten."}};
  const CompletionPrompt prompt = completion_prompt(*model_, request);
  const auto take = [](const CompletionPiece&) { return true; };
  int n_asked = 0;
  const auto briefly = [&] { return ++n_asked < 5; };
  EXPECT_EQ(complete(*model_, generator, request, {prompt}, take, briefly).n_new, 5U);
  const auto place = generator.open({1}, {.max_new_tokens = 100}, false, [] { return true; });
  n_asked = 0;
  EXPECT_THROW(complete(*model_, generator, request, {prompt}, take, briefly), Error)
      << "in the queue";
}

TEST_F(OpenAiTest, SaysWhatIsWrong) {
  EXPECT_THAT(ask({{"messages", 3}}, 400).at("error").at("message"), HasSubstr("messages"));
  Json other = question(1);
  other["model"] = "gpt";
  EXPECT_EQ(ask(other, 404).at("error").at("code"), "model_not_found");
  Json long_one = question(1);
  std::string words;
  for (int i = 0; i < 9000; ++i) words += " word";
  long_one["messages"][0]["content"] = words;
  EXPECT_THAT(ask(long_one, 400).at("error").at("message"), HasSubstr("tokens"));
  EXPECT_EQ(ask(long_one, 400).at("error").at("code"), "context_length_exceeded");
  long_one["stream"] = true;
  const Json refused = ask(long_one, 400);
  EXPECT_THAT(refused.at("error").at("message"), HasSubstr("tokens"));
  EXPECT_EQ(refused.at("error").at("type"), "invalid_request_error");
  Json biased = question(1);
  biased["logit_bias"] = {{"33", -100}};
  EXPECT_THAT(ask(biased, 400).at("error").at("message"), HasSubstr("logit_bias"));

  const auto nowhere = http().Get("/v1/nowhere");
  ASSERT_TRUE(nowhere);
  EXPECT_EQ(nowhere->status, 404);
  EXPECT_THAT(Json::parse(nowhere->body).at("error").at("message"), HasSubstr("/v1/models"));
  const auto form = http().Post("/v1/chat/completions", question(1).dump(), "text/plain");
  ASSERT_TRUE(form);
  EXPECT_EQ(form->status, 415) << "what a web page may send without asking";
  const auto rebound = http().Get("/v1/models", {{"Host", "evil.example"}});
  ASSERT_TRUE(rebound);
  EXPECT_EQ(rebound->status, 403);
}

TEST_F(OpenAiTest, SaysThatAnAnswerWasCutByTheEnd) {
  Json body = question(2000);
  body["stream"] = true;
  body["temperature"] = 1;  // no likeliest answer that is over soon
  std::string all;
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.body = body.dump();
  request.set_header("Content-Type", "application/json");
  request.content_receiver = [&](const char* data, std::size_t n, auto...) {
    all.append(data, n);
    if (std::ranges::count(all, '\n') > 10) stop_.request_stop();
    return true;
  };
  http().send(request);
  EXPECT_THAT(all, HasSubstr("\"error\""));
  EXPECT_THAT(all, HasSubstr("the server is ending"));
  EXPECT_EQ(all.find("\"finish_reason\":\"stop\""), all.npos) << "as if the model had ended it";
  EXPECT_EQ(all.find("[DONE]"), all.npos);
}

TEST_F(OpenAiTest, WantsItsKey) {
  ::setenv("SAFESAIL_TEST_KEY", "sk-local-secret", 1);
  start({.port = 0, .model_name = "smol", .key = ApiKey::from_environment("SAFESAIL_TEST_KEY")});
  ::unsetenv("SAFESAIL_TEST_KEY");
  const auto without = http().Get("/v1/models");
  ASSERT_TRUE(without);
  EXPECT_EQ(without->status, 401);
  EXPECT_EQ(without->body.find("sk-local"), std::string::npos);
  const auto with = http().Get("/v1/models", {{"Authorization", "Bearer sk-local-secret"}});
  ASSERT_TRUE(with);
  EXPECT_EQ(with->status, 200);
}

TEST_F(OpenAiTest, ServesOurClient) {
  EndpointSettings settings;
  settings.base_url = url_;
  settings.model = "smol";
  Budget budget({}, {});
  ChatClient client(settings, {}, budget, nullptr, reporter_);
  ChatRequest request;
  request.purpose = "a test";
  request.messages = {{"user", "Count from one to ten."}};
  request.schema = R"({"enum": ["one", "two"]})";
  request.max_tokens = 12;
  request.top_logprobs = 3;
  const std::vector<ChatResult> results = client.ask(std::span(&request, 1));
  // The truth: what any other client is told.
  Json body = question(12);
  body["seed"] = 0;
  body["structured_outputs"] = {{"choice", {"\"one\"", "\"two\""}}};
  const Json plain = ask(body);
  ASSERT_EQ(results[0].status, AnswerStatus::ok) << results[0].detail;
  EXPECT_EQ(results[0].answer.content, plain.at("choices")[0].at("message").at("content"));
  EXPECT_EQ(results[0].answer.usage.completion, plain.at("usage").at("completion_tokens"));
  ASSERT_EQ(results[0].answer.tokens.size(), results[0].answer.usage.completion);
  EXPECT_EQ(results[0].answer.tokens[0].alternatives.size(), 3U);
  EXPECT_EQ(reporter_.heard().find("refused a field"), std::string::npos) << "all is spoken here";
}

TEST_F(OpenAiTest, ServesOurSimulator) {
  EndpointSettings settings;
  settings.base_url = url_;
  settings.model = "smol";
  settings.concurrency = 2;
  Budget budget({}, {});
  ChatClient client(settings, {}, budget, nullptr, reporter_);
  LlmSimulator simulator(client, 1);
  const std::vector<Question> asked(2, {.text = "the bomb went off", .units = {{0, 17}}});
  // A model of 135M may answer anything of the form: a value for each unit, and the same question
  // the same answer.
  const auto answers = simulator.answer(Scorer::detection, {.text = "bombs"}, asked).answers;
  ASSERT_EQ(answers.size(), 2U);
  for (const Answer& answer : answers) {
    EXPECT_EQ(answer.status, AnswerStatus::ok) << answer.detail;
    EXPECT_EQ(answer.values.size(), 1U);
    EXPECT_EQ(answer.values, answers[0].values);
  }
}

TEST_F(OpenAiTest, AnswersInTheFormAskedFor) {
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

TEST_F(OpenAiTest, AFormMayBeAChoiceAnExpressionOrAnyObject) {
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

TEST_F(OpenAiTest, ProbabilitiesAreTheModelsOwnWhateverTheForm) {
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

TEST_F(OpenAiTest, StreamsAFormTheSame) {
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

TEST_F(OpenAiTest, NamesTheFormThatItCannotHold) {
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
  EXPECT_EQ(ask(question(2)).at("usage").at("completion_tokens"), 2) << "and others are answered";
}

/// Our own prompts at a temperature at which this model writes nothing but noise: the text of each
/// answer is of its schema, and long before the limit.
TEST_F(OpenAiTest, OurSchemasHoldAModelThatRambles) {
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

TEST_F(OpenAiTest, FillsForms) {
  Json body = question(1);
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

  body["answer_form"]["choices"] = {"0", "a word or two"};
  EXPECT_THAT(ask(body, 400).at("error").at("message"), HasSubstr("answer_form"));
}

// The same questions of a server that keeps prompts, alone and at once, and of one that keeps none.
TEST_F(OpenAiTest, ReadsOnceWhatPromptsHaveInCommon) {
  const auto about = [&](const std::string& subject) {
    Json body = question(5);
    body["messages"] = {{{"role", "system"}, {"content", "You know a lot, and say little."}},
                        {{"role", "user"}, {"content", "Tell me of " + subject + "."}}};
    body["logprobs"] = true;
    body["top_logprobs"] = 3;
    return body;
  };
  const auto known = [](const Json& answer) -> int {
    return answer.at("usage").at("prompt_tokens_details").at("cached_tokens");
  };
  start({.port = 0, .model_name = "smol", .prefix_bytes = 0});
  const Json rain = ask(about("rain")), again = ask(about("rain")), tea = ask(about("tea"));
  for (const Json* answer : {&rain, &again, &tea}) EXPECT_EQ(known(*answer), 0);

  start({.port = 0, .model_name = "smol", .max_active = 1});
  EXPECT_EQ(ask(about("rain")).at("choices"), rain.at("choices"));
  for (int round = 0; round < 2; ++round) {
    std::vector<Json> answers(4);
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < answers.size(); ++i)
      threads.emplace_back([&, i] { answers[i] = ask(about(i % 2 == 0 ? "tea" : "rain")); });
    threads.clear();
    for (std::size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].at("choices"), (i % 2 == 0 ? tea : rain).at("choices"));
      EXPECT_GE(known(answers[i]), 16) << "the system's message";
      EXPECT_LT(known(answers[i]), answers[i].at("usage").at("prompt_tokens"));
    }
  }
}

TEST_F(OpenAiTest, AModelFileAnswersInPlaceOfAnEndpoint) {
  LocalEndpoint local(packaged_model(), {}, 4, reporter_);
  const EndpointSettings settings = local.settings({});
  EXPECT_TRUE(settings.base_url.starts_with("local:"));
  EXPECT_EQ(settings.base_url,
            LocalEndpoint(packaged_model(), {}, 1, reporter_).settings({}).base_url)
      << "by which a later start finds the answers";
  Budget budget({}, {});
  ChatClient client(settings, local.key(), budget, nullptr, reporter_);
  std::vector<ChatRequest> asked(6);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    asked[i].purpose = "a test";
    asked[i].messages = {{"user", fmt::format("Count from {} to ten.", i)}};
    asked[i].max_tokens = 8;
  }
  EXPECT_GT(local.state(client.estimate(asked), reporter_), 0);
  EXPECT_THAT(reporter_.heard(), HasSubstr("memory: "));
  EXPECT_THAT(reporter_.heard(), HasSubstr("4 answers at once"));
  EXPECT_THAT(reporter_.heard(), HasSubstr("time: about "));
  for (const ChatResult& result : client.ask(asked)) {
    EXPECT_EQ(result.status, AnswerStatus::ok) << result.detail;
    EXPECT_GT(result.answer.usage.completion, 0U);
  }
  // Whoever else finds the port is told nothing.
  httplib::Client other(settings.address.substr(0, settings.address.rfind('/')));
  const auto refused = other.Get("/v1/models");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 401);
}

class ThinkingModelTest : public WorkspaceTest {
 protected:
  /// Its template opens the thinking.
  void write_model(bool with_template) {
    write_tiny_model(dir_ / "model");
    const fs::path path = dir_ / "model" / "tokenizer.json";
    Json tokenizer = Json::parse(read_file(path, 1 << 20));
    tokenizer["model"]["vocab"]["<think>"] = kTinyWords;
    tokenizer["model"]["vocab"]["</think>"] = kTinyWords + 1;
    for (int rest = kTinyWords + 2; rest < 199; ++rest)  // whatever it writes has a text
      tokenizer["model"]["vocab"][fmt::format("w{}", rest)] = rest;
    write_file(path, tokenizer.dump());
    if (!with_template) return;
    const Json config{{"chat_template",
                       "{% for message in messages %}{{ message.content }} {% endfor %}"
                       "{% if add_generation_prompt %}<think>\n{% endif %}"}};
    write_file(dir_ / "model" / "tokenizer_config.json", config.dump());
  }
  ChatAnswer answer_with(int thinking_tokens) {
    LocalEndpoint local(dir_ / "model", {.dtype = ComputeType::f32}, 1, reporter_);
    EndpointSettings settings;
    settings.thinking_tokens = thinking_tokens;
    settings = local.settings(settings);
    Budget budget({}, {});
    ChatClient client(settings, local.key(), budget, nullptr, reporter_);
    ChatRequest request;
    request.purpose = "a test";
    request.messages = {{"user", "w1 w2 w3"}};
    request.max_tokens = 8;
    const ChatResult result = client.ask(std::span(&request, 1)).front();
    EXPECT_EQ(result.status, AnswerStatus::ok) << result.detail;
    return result.answer;
  }
  ListeningReporter reporter_;
};

TEST_F(ThinkingModelTest, ThinksInTheRoomItHasAndThenAnswers) {
  write_model(true);
  for (const int room : {0, 5}) {
    const ChatAnswer answer = answer_with(room);
    // The tag that closes it is of the thinking, too.
    EXPECT_EQ(answer.usage.reasoning, static_cast<std::uint64_t>(room + 1));
    EXPECT_EQ(answer.usage.completion, static_cast<std::uint64_t>(room + 8));
    EXPECT_THAT(answer.content, Not(HasSubstr("think")));
    EXPECT_NE(answer.content, "");
    EXPECT_TRUE(answer.thinking.starts_with("<think>")) << answer.thinking;
    EXPECT_EQ(answer.thinking == "<think>", room == 0) << answer.thinking;
  }
}

TEST_F(ThinkingModelTest, AModelWithoutATemplateCannotAnswer) {
  write_model(false);
  try {
    LocalEndpoint(dir_ / "model", {}, 1, reporter_);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    EXPECT_THAT(error.what(), HasSubstr("chat template"));
  }
}

TEST_F(OpenAiTest, ServesOurSimulatorFromOnePass) {
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
