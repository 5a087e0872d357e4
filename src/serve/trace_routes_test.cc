// The model over HTTP: the whole server on the packaged model with two small SAEs.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <gmock/gmock.h>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <tuple>

#include "atlas/test_support.h"
#include "diagnose/subject_testing.h"
#include "diagnose/trace_json.h"
#include "serve/api_server.h"
#include "serve/openapi.h"
#include "serve/schema_testing.h"
#include "serve/serve_testing.h"

namespace safesail {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TraceRoutes : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override { running_.reset(); }

  void start(const EngineLimits& limits) {
    running_.reset();
    server_ = std::make_unique<ApiServer>(
        ApiServerOptions{.http = {}, .run = {}, .atlas = {}, .page = {}, .engine = limits},
        &testing::small_subject(), silent_);
    running_.emplace([this](std::stop_token stop) { server_->run(stop); });
  }
  int port() const { return server_->http().port(); }
  httplib::Result post(const std::string& path, const Json& body) const {
    httplib::Client client("127.0.0.1", port());
    client.set_read_timeout(60, 0);
    return client.Post("/api/v1" + path, body.dump(), "application/json");
  }
  Json load() const {
    httplib::Client client("127.0.0.1", port());
    return Json::parse(client.Get("/api/v1/health")->body).at("queue");
  }
  std::string chat_request(const std::string& question, int n) const {
    return post_text("/api/v1/chat", {{"messages", {{{"role", "user"}, {"content", question}}}},
                                      {"max_tokens", n}});
  }

  SilentReporter silent_;
  std::unique_ptr<ApiServer> server_;
  std::optional<Running> running_;
};

struct ServerEvent {
  std::string name;
  Json data;
};

std::vector<ServerEvent> events_of(const std::string& body) {
  std::vector<ServerEvent> events;
  std::istringstream lines(body);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("event: "))
      events.push_back({line.substr(7), {}});
    else if (line.starts_with("data: "))
      events.back().data = Json::parse(line.substr(6));
  return events;
}

TEST_F(TraceRoutes, ATraceIsThatOfTheLibrary) {
  const auto answer = post("/trace", {{"text", "Rain fell on the city."}, {"unlisted", true}});
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->status, 200) << answer->body;
  Json got = Json::parse(answer->body);
  const Subject& subject = testing::small_subject();
  const Json expected =
      json_of(trace(subject, prompt_of_text(subject.model.tokenizer, "Rain fell on the city."),
                    {.unlisted = true}));
  EXPECT_EQ(got["model"], "small");
  EXPECT_EQ(got["tokens"], expected["tokens"]);
  EXPECT_EQ(got["features"], expected["features"]);
}

TEST_F(TraceRoutes, AChatTellsItsTokensAndThenTheirFeatures) {
  const auto answer =
      post("/chat",
           {{"messages", {{{"role", "user"}, {"content", "Count to five."}}}}, {"max_tokens", 20}});
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->get_header_value("Content-Type"), StartsWith("text/event-stream"));
  const std::vector<ServerEvent> events = events_of(answer->body);
  ASSERT_GE(events.size(), 3u);
  std::map<std::string, int> counts;
  std::size_t n_features = 0;
  std::set<int> told, explained;
  std::string text;
  for (const ServerEvent& event : events) {
    ++counts[event.name];
    if (event.name == "start") {
      text = event.data["text"];
      n_features = event.data["features"].size();
    } else if (event.name == "token") {
      told.insert(event.data["position"].get<int>());
      EXPECT_EQ(event.data["start"], text.size());
      text += event.data["text"].get<std::string>();
      EXPECT_EQ(event.data["part"], "response");
    } else if (event.name == "features") {
      n_features += event.data["new"].size();
      for (const Json& token : event.data["tokens"]) {
        const int position = token["position"].get<int>();
        EXPECT_TRUE(told.contains(position)) << "a token comes before its features";
        explained.insert(position);
        for (const Json& feature : token["features"])
          EXPECT_LT(feature["feature"].get<std::size_t>(), n_features);
      }
    }
  }
  EXPECT_EQ(counts["start"], 1);
  EXPECT_EQ(events.back().name, "end");
  EXPECT_EQ(events.back().data["n_new"], told.size());
  EXPECT_EQ(told, explained);
  EXPECT_GT(told.size(), 3u);
}

TEST_F(TraceRoutes, AComparisonAlignsPrompts) {
  const auto answer = post("/compare", {{"prompts",
                                         {{{"label", "a"}, {"text", "A bomb threat."}},
                                          {{"label", "b"}, {"text", "A chair sale."}}}}});
  ASSERT_EQ(answer->status, 200) << answer->body;
  const Json json = Json::parse(answer->body);
  ASSERT_EQ(json["traces"].size(), 2u);
  EXPECT_EQ(json["traces"][1]["label"], "b");
  EXPECT_EQ(json["traces"][0]["response"], "");
  EXPECT_TRUE(json["answer"].is_null()) << "none was asked for";
  const Json& question = json["question"];
  ASSERT_FALSE(question["features"].empty());
  const auto n_drawn = question["n_drawn"].get<std::int64_t>();
  const auto n_tokens = question["n_tokens"].get<std::vector<std::int64_t>>();
  EXPECT_EQ(n_drawn, std::ranges::min(n_tokens));
  double last = INFINITY;
  for (const Json& feature : question["features"]) {
    const double a = feature["expected_max"][0], b = feature["expected_max"][1];
    EXPECT_LE(std::abs(a - b), last);
    last = std::abs(a - b);
    for (int i = 0; i < 2; ++i) {
      // The maximum is at the token that it names.
      const int position = feature["max_position"][i];
      double found = 0;
      if (position >= 0)
        for (const Json& one : json["traces"][i]["tokens"][position]["features"])
          if (json["traces"][i]["features"][one["feature"].get<int>()]["name"] == feature["name"])
            found = one["normalised"];
      EXPECT_EQ(found, feature["max"][i].get<double>());
      EXPECT_LE(feature["expected_max"][i].get<double>(), feature["max"][i].get<double>());
    }
  }
  const Json document = Json::parse(openapi_text());
  EXPECT_EQ(
      Schema(document).violation(json, document.at("components").at("schemas").at("Comparison")),
      "");
}

TEST_F(TraceRoutes, AComparisonOfAnswersIsOfTheirTokens) {
  const auto message = [](const char* text) {
    return Json{
        {"messages",
         {{{"role", "system"}, {"content", "Be brief."}}, {{"role", "user"}, {"content", text}}}}};
  };
  const auto answer =
      post("/compare",
           {{"prompts", {message("Name a bomb."), message("Name a chair.")}}, {"max_tokens", 6}});
  ASSERT_EQ(answer->status, 200) << answer->body;
  const Json json = Json::parse(answer->body);
  for (int i = 0; i < 2; ++i) {
    std::int64_t n_asked = 0, n_answered = 0;
    for (const Json& token : json["traces"][i]["tokens"]) {
      if (token["special"].get<bool>()) continue;
      n_answered += token["part"] == "response";
      n_asked += token["part"] == "query" && token["role"] == "user";
    }
    EXPECT_GT(n_asked, 0);
    EXPECT_EQ(json["question"]["n_tokens"][i].get<std::int64_t>(), n_asked);
    EXPECT_EQ(json["answer"]["n_tokens"][i].get<std::int64_t>(), n_answered);
  }
  const Json document = Json::parse(openapi_text());
  EXPECT_EQ(
      Schema(document).violation(json, document.at("components").at("schemas").at("Comparison")),
      "");
}

TEST_F(TraceRoutes, SaesSayWhichAreTraced) {
  httplib::Client client("127.0.0.1", port());
  const Json saes = Json::parse(client.Get("/api/v1/saes")->body)["saes"];
  ASSERT_EQ(saes.size(), 2u);
  for (const Json& sae : saes) {
    EXPECT_TRUE(sae["traced"].get<bool>());
    const auto answer = post("/trace", {{"text", "a"}, {"saes", {sae["name"]}}});
    EXPECT_EQ(answer->status, 200) << answer->body;
  }
}

TEST_F(TraceRoutes, SaesAreAnotherAnswerWithoutTheModel) {
  const auto tag_with = [&](Subject* subject) {
    running_.reset();
    server_ = std::make_unique<ApiServer>(ApiServerOptions{}, subject, silent_);
    running_.emplace([this](std::stop_token stop) { server_->run(stop); });
    httplib::Client client("127.0.0.1", port());
    return client.Get("/api/v1/saes")->get_header_value("ETag");
  };
  EXPECT_NE(tag_with(&testing::small_subject()), tag_with(nullptr));
}

class LearningSubject : public AtlasTest {};

TEST_F(LearningSubject, TracesWithWhatTheAtlasLearnsMeanwhile) {
  const fs::path path = dir_ / "atlas.sqlite";
  std::int64_t sae = 0;
  {
    Atlas atlas(path);
    sae = atlas.put_sae(make_sae());
  }
  // The packaged model with one SAE, of which the atlas knows nothing yet.
  Subject& subject = testing::small_subject();
  const std::int64_t d = subject.model.model.spec().d_model;
  std::vector<KnownSae> saes;
  saes.emplace_back("mlp_out.3/topk-k32", Site{SiteKind::mlp_out, 3},
                    Sae::random(SaeSpec::topk(d, 256, 8), identity_transform(d), 3),
                    std::vector<KnownFeature>(),
                    [sae](Atlas& atlas) { return atlas.known_features(sae); });
  std::swap(subject.saes, saes);
  {
    SilentReporter silent;
    ApiServer server({.http = {}, .run = {}, .atlas = path}, &subject, silent);
    const Running running([&](std::stop_token stop) { server.run(stop); });
    httplib::Client client("127.0.0.1", server.http().port());
    client.set_read_timeout(60, 0);
    const auto trace = [&](Json more) {
      more["text"] = "Rain fell on the city.";
      return Json::parse(client.Post("/api/v1/trace", more.dump(), "application/json")->body);
    };
    const Json before = trace({{"unlisted", true}});
    ASSERT_FALSE(before["features"].empty());
    EXPECT_TRUE(before["features"][0]["id"].is_null());
    EXPECT_EQ(trace(Json::object())["features"].size(), 0U);

    const std::int32_t index = before["features"][0]["index"];
    Atlas atlas(path, Atlas::Mode::write);
    const std::int64_t id = atlas.put_feature(sae, make_record(index));
    atlas.put_explanation(id, make_explanation("of rain"));
    EXPECT_EQ(trace(Json::object())["features"][0]["explanation"]["en"], "of rain");
    EXPECT_EQ(trace({{"domains", {"politics"}}})["features"].size(), 0U);
    atlas.put_tag(id, {"politics", "", "a test"});
    const Json after = trace({{"domains", {"politics"}}});
    ASSERT_EQ(after["features"].size(), 1U);
    EXPECT_EQ(after["features"][0]["id"], id);
    EXPECT_EQ(after["features"][0]["index"], index);
  }
  std::swap(subject.saes, saes);
}

TEST_F(TraceRoutes, BadRequestsAreNamed) {
  for (const auto& [path, body, says] : std::vector<std::tuple<std::string, Json, std::string>>{
           {"/trace", {{"text", ""}}, "token"},
           {"/trace", {{"text", "a"}, {"saes", {"nowhere"}}}, "nowhere"},
           {"/chat", {{"messages", {{{"role", "wizard"}, {"content", 3}}}}}, "content"},
           {"/chat",
            {{"messages", {{{"role", "user"}, {"content", "a"}}}}, {"max_tokens", 99999}},
            "max_tokens"},
           {"/compare", {{"prompts", Json::array()}}, "prompts"}}) {
    const auto answer = post(path, body);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 400) << answer->body;
    EXPECT_THAT(Json::parse(answer->body)["error"]["message"].get<std::string>(), HasSubstr(says));
  }
}

TEST_F(TraceRoutes, AFullQueueSaysWhenToComeBack) {
  start({.max_waiting = 1, .max_active = 1});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<RawClient>(port()));
    clients.back()->send(chat_request("Tell me a long story.", 200));
    if (i > 0) continue;
    EXPECT_THAT(clients[0]->receive_until("event: token"), HasSubstr("event: start"));
  }
  const auto refused =
      post("/chat", {{"messages", {{{"role", "user"}, {"content", "me too"}}}}, {"max_tokens", 2}});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503) << refused->body;
  EXPECT_FALSE(refused->get_header_value("Retry-After").empty());
  EXPECT_EQ(Json::parse(refused->body)["error"]["code"], "busy");
}

TEST_F(TraceRoutes, WhoHangsUpMakesRoom) {
  start({.max_waiting = 4, .max_active = 1});
  RawClient talker(port()), waiter(port());
  talker.send(chat_request("Tell me a long story.", 1000));
  EXPECT_THAT(talker.receive_until("event: token"), HasSubstr("event: start"));
  waiter.send(chat_request("And me.", 1000));
  EXPECT_THAT(waiter.receive_until("event: queued"), HasSubstr("queued"));
  talker.close();
  waiter.close();
  const auto answer =
      post("/chat", {{"messages", {{{"role", "user"}, {"content", "Hi."}}}}, {"max_tokens", 2}});
  EXPECT_THAT(answer->body, HasSubstr("event: end"));
  EXPECT_EQ(load()["waiting"], 0);
}

TEST_F(TraceRoutes, WhoHangsUpOnATraceOrAComparisonLeavesTheQueue) {
  start({.max_waiting = 4, .max_active = 1});
  RawClient talker(port());
  talker.send(chat_request("Tell me a long story.", 1000));
  EXPECT_THAT(talker.receive_until("event: token"), HasSubstr("event: start"));
  const std::vector<std::string> requests = {
      post_text("/api/v1/trace", {{"text", "Rain fell."}}),
      post_text("/api/v1/compare", {{"prompts", {{{"text", "a"}}, {{"text", "b"}}}}})};
  for (const std::string& request : requests) {
    RawClient waiter(port());
    waiter.send(request);
    EXPECT_TRUE(eventually([&] { return load()["waiting"] > 0; }));
    waiter.close();
    EXPECT_TRUE(eventually([&] { return load()["waiting"] == 0; }));
    EXPECT_EQ(load()["active"], 1) << "the story is still being told: nobody was served meanwhile";
  }
}

TEST_F(TraceRoutes, WhoHangsUpOnAComparisonEndsItsAnswers) {
  start({.max_waiting = 8, .max_active = 2});
  RawClient asker(port());
  Json body{{"max_tokens", 1000}, {"prompts", Json::array()}};
  for (int i = 0; i < 8; ++i)
    body["prompts"].push_back({{"messages", {{{"role", "user"}, {"content", "A story."}}}}});
  asker.send(post_text("/api/v1/compare", body));
  EXPECT_TRUE(eventually([&] { return load()["active"] == 2; }));
  asker.close();
  // Thousands of tokens would take longer than the client's patience.
  const auto answer =
      post("/chat", {{"messages", {{{"role", "user"}, {"content", "Hi."}}}}, {"max_tokens", 2}});
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->body, HasSubstr("event: end"));
  EXPECT_EQ(load()["active"], 0);
  EXPECT_EQ(load()["waiting"], 0);
}

TEST_F(TraceRoutes, TheEndOfTheServerEndsChats) {
  RawClient talker(port());
  talker.send(chat_request("Tell me a long story.", 1000));
  EXPECT_THAT(talker.receive_until("event: token"), HasSubstr("event: start"));
  std::thread ending([&] { running_.reset(); });
  EXPECT_THAT(talker.receive(), HasSubstr("event: error"));
  ending.join();
}

}  // namespace
}  // namespace safesail
