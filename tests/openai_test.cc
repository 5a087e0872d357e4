// The local engine as an endpoint, on the packaged model, asked as any client would and by our own.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <gmock/gmock.h>
#include <httplib.h>
#include <set>
#include <sstream>
#include <thread>

#include "base/utf8.h"
#include "interpret/llm_simulator.h"
#include "openai_testing.h"
#include "serve/completion.h"
#include "serve/local_endpoint.h"
#include "serve/serve_testing.h"
#include "tiny_model.h"

namespace safesail {
namespace {

using testing::HasSubstr;
using testing::Not;

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
  const Json listless = ask({{"messages", 3}}, 400).at("error");
  EXPECT_THAT(listless.at("message"), HasSubstr("messages"));
  EXPECT_EQ(listless.at("param"), "messages");
  Json other = question(1);
  other["model"] = "gpt";
  EXPECT_EQ(ask(other, 404).at("error").at("code"), "model_not_found");
  EXPECT_EQ(ask(other, 404).at("error").at("param"), "model");
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
  EXPECT_EQ(refused.at("error").at("param"), "messages");
  Json biased = question(1);
  biased["logit_bias"] = {{"33", -100}};
  EXPECT_THAT(ask(biased, 400).at("error").at("message"), HasSubstr("logit_bias"));
  EXPECT_EQ(ask(biased, 400).at("error").at("param"), "logit_bias");
  for (const char* broken : {"{\"messages\": [", "{\"messages\": \"\xff\"}", "[]"}) {
    const auto answer = http().Post("/v1/chat/completions", broken, "application/json");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 400);
    const Json error = Json::parse(answer->body).at("error");
    EXPECT_THAT(error.at("message"), Not(HasSubstr("file"))) << "nothing was fetched";
    EXPECT_TRUE(error.at("param").is_null()) << error;
  }

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

/// Our own prompts at a temperature at which this model writes nothing but noise: the text of each
/// answer is of its schema, and long before the limit.
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
  const TextModel model = load_text_model(dir_ / "model", {.dtype = ComputeType::f32}, reporter_);
  EXPECT_THROW(OpenAiServer(model, {.port = 0}, reporter_), Error) << "before anybody asks it";
}

}  // namespace
}  // namespace safesail
