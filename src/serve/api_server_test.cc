#include "serve/api_server.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "serve/api_testing.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(ApiTest, SaysHowItIs) {
  start();
  const Json health = json("/health");
  EXPECT_EQ(health["status"], "ok");
  EXPECT_EQ(health["atlas"], true);
  EXPECT_EQ(health["run"], true);
  EXPECT_TRUE(health["model"].is_null());
  EXPECT_EQ(json("/models")["models"], Json::array());
}

TEST_F(ApiTest, ListsSaes) {
  start();
  const Json saes = json("/saes")["saes"];
  ASSERT_EQ(saes.size(), 2U);
  EXPECT_EQ(saes[1]["name"], "mlp_out.3/topk-k32");
  EXPECT_EQ(saes[1]["k"], 32);
  EXPECT_EQ(saes[0]["n_in_atlas"], 10);
  EXPECT_EQ(saes[1]["n_in_atlas"], 30);
  EXPECT_EQ(saes[0]["traced"], false);
}

TEST_F(ApiTest, ListsFeatures) {
  start();
  const Json page = json("/features?domains=terror&order=score&limit=3&offset=1");
  EXPECT_EQ(page["total"], 19);
  EXPECT_EQ(page["offset"], 1);
  ASSERT_EQ(page["features"].size(), 3U);
  EXPECT_EQ(page["features"][0]["index"], 36);
  EXPECT_THAT(page["features"][0]["domains"], ElementsAre("terror"));
  EXPECT_EQ(json("/features?language=zh&limit=1")["features"][0]["explanation"], "炸弹");
  EXPECT_EQ(json("/features?text=%E7%82%B8%E5%BC%B9")["total"], 39);
  EXPECT_EQ(json("/features?min_score=0.7&max_score=0.75")["total"], 3);
  EXPECT_EQ(json("/features?sufficient=false")["total"], 1);
  const Json two = json("/features?ids=3,7,99999&order=place");
  ASSERT_EQ(two["features"].size(), 2U);
  EXPECT_EQ(two["features"][0]["id"], 3);
  EXPECT_EQ(json("/features?domains=nothing")["total"], 0);
}

TEST_F(ApiTest, CountsFeatures) {
  start();
  const Json all = json("/stats");
  EXPECT_EQ(all["features"], 40);
  EXPECT_EQ(all["explained"], 39);
  EXPECT_EQ(all["insufficient"], 1);
  EXPECT_THAT(all["languages"], ElementsAre("en", "zh"));
  EXPECT_EQ(json("/stats?domains=violence")["features"], 20);
}

TEST_F(ApiTest, ShowsAFeature) {
  start();
  const Json feature = json("/features/1");
  EXPECT_EQ(feature["id"], 1);
  EXPECT_EQ(feature["name"], "mlp_out.3:0");
  EXPECT_EQ(feature["model"], "test-model");
  EXPECT_THAT(feature["domains"], ElementsAre("terror"));
  EXPECT_EQ(feature["exemplars"].size(), 2U);
  EXPECT_EQ(feature["nearest"][0]["name"], "mlp_out.3:1");
  const Json simulation = feature["explanations"][0]["scores"][0]["simulations"][0];
  EXPECT_EQ(simulation["values"].size(), 3U);
  EXPECT_EQ(simulation["units"], Json({{0, 2}, {2, 7}, {7, 13}}));
  EXPECT_EQ(json("/features/mlp_out.3:0")["id"], 1);
  EXPECT_EQ(json("/features/3_0")["id"], 1);
  EXPECT_EQ(feature["explanations"][0]["cost"]["money"], 0.25);
  EXPECT_TRUE(feature["explanations"][2]["cost"].is_null()) << "the baseline costs nothing";
  EXPECT_THAT(feature["explanations"][0]["raw"].get<std::string>(), HasSubstr("Sure!"));
  EXPECT_EQ(feature["explanations"][2]["raw"], "") << "no model was asked";
  const Json brief = json("/features/1?exemplars=0");
  EXPECT_EQ(brief["exemplars"], Json::array());
  EXPECT_EQ(brief["explanations"].size(), 3U);
}

TEST_F(ApiTest, TellsWhichOfSeveralSaesIsMeant) {
  {
    Atlas atlas(dir_ / "atlas.sqlite", Atlas::Mode::write);
    atlas.put_feature(*atlas.find_sae("test-model", "mlp_out.3/jumprelu-k32"), make_record(0));
  }
  start();
  EXPECT_THAT(json("/features/mlp_out.3:0", 400)["error"]["remedy"], HasSubstr("sae"));
  EXPECT_EQ(json("/features/mlp_out.3:0?sae=mlp_out.3/topk-k32")["id"], 1);
}

TEST_F(ApiTest, ShowsThePromptOfAnExplanation) {
  start();
  const Json prompt = json("/features/1/prompt?explanation=0");
  EXPECT_EQ(prompt["name"], "explain.v2");
  EXPECT_EQ(prompt["prompt_hash"], Prompt("explain.v2").hash());
  EXPECT_THAT(prompt["text"], HasSubstr("@@ system"));
  json("/features/1/prompt?explanation=1", 404);  // its hash is no prompt's
  json("/features/1/prompt?explanation=3", 404);
  json("/features/999/prompt", 404);
}

TEST_F(ApiTest, DrawsTheLandscape) {
  start();
  const Json map = json("/landscape");
  EXPECT_EQ(map["n"], 40);
  for (const char* column : {"ids", "x", "y", "layer", "domain", "score", "sae", "index"})
    EXPECT_EQ(map[column].size(), 40U) << column;
  EXPECT_THAT(map["domain_names"], ElementsAre("violence", "terror"));
  EXPECT_EQ(map["domain"][0], 2) << "terror";
  EXPECT_EQ(map["domain"][1], 1) << "violence";
  EXPECT_EQ(map["domain"][2], 0);
  EXPECT_TRUE(map["score"][2].is_null());
  EXPECT_THAT(map["sae_names"], ElementsAre("mlp_out.3/jumprelu-k32", "mlp_out.3/topk-k32"));
  EXPECT_EQ(map["sae"][3], 0);
}

TEST_F(ApiTest, ShowsTheRun) {
  start();
  const Json run = json("/runs");
  EXPECT_EQ(run["name"], dir_.filename().string());
  ASSERT_EQ(run["cells"].size(), 1U);
  EXPECT_EQ(run["cells"][0]["sae"], "mlp_out.3/topk-k32");
  EXPECT_EQ(run["cells"][0]["layer"], 3);
  EXPECT_EQ(run["cells"][0]["fvu"], Json({{"value", 0.3}, {"low", 0.2}, {"high", 0.4}}));
  EXPECT_TRUE(run["cells"][0]["delta_ce"].is_null());
  ASSERT_EQ(run["curves"].size(), 1U);
  EXPECT_EQ(run["curves"][0]["sae"], "mlp_out.3/topk-k32");
  EXPECT_LE(run["curves"][0]["tokens"].size(), 300U);
  EXPECT_EQ(run["curves"][0]["tokens"].back(), 100'000);
  EXPECT_TRUE(run["curves"][0]["fvu"][0].is_null()) << "not in the lines";
  EXPECT_EQ(run["selection"]["reason"], "it is alone");
  EXPECT_EQ(run["selection"]["metrics"][0]["null"]["value"], 0.02);
  EXPECT_EQ(run["selection"]["metrics"][0]["n_accepted"], 2);
  EXPECT_EQ(run["selection"]["metrics"][0]["l0t"][0]["null_high"], 4);
}

TEST_F(ApiTest, NoticesThatARunGoesOn) {
  start();
  const std::string tag = get("/runs").get_header_value("ETag");
  EXPECT_EQ(get("/runs", {{"If-None-Match", tag}}).status, 304);
  fs::remove(dir_ / "select/recommendation.json");
  EXPECT_EQ(get("/runs", {{"If-None-Match", tag}}).status, 200);
  EXPECT_TRUE(json("/runs")["selection"].is_null());
  write_file(dir_ / "evaluation.jsonl", "{\"site\":\n");
  EXPECT_EQ(json("/runs", 500)["error"]["code"], "internal");
  write_file(dir_ / "evaluation.jsonl", "");
  EXPECT_EQ(json("/runs")["cells"], Json::array());
}

TEST_F(ApiTest, NoticesThatTheAtlasGoesOn) {
  start();
  for (const char* path : {"/stats", "/features", "/features/1", "/landscape", "/saes"}) {
    const std::string tag = get(path).get_header_value("ETag");
    EXPECT_EQ(get(path, {{"If-None-Match", tag}}).status, 304) << path;
    Atlas(dir_ / "atlas.sqlite", Atlas::Mode::write).put_tag(1, {"politics", path, "a test"});
    EXPECT_EQ(get(path, {{"If-None-Match", tag}}).status, 200) << path;
  }
  EXPECT_THAT(json("/features/1")["domains"], ElementsAre("politics", "terror"));
}

TEST_F(ApiTest, FollowsTheAtlasThatTakesItsPlace) {
  start();
  const std::string tag = get("/stats").get_header_value("ETag");
  {
    Atlas made(dir_ / "new.sqlite");
    made.put_feature(made.put_sae(make_sae()), make_record(7));
  }
  for (const char* of_the_old : {"atlas.sqlite-wal", "atlas.sqlite-shm"})
    fs::remove(dir_ / of_the_old);
  fs::rename(dir_ / "new.sqlite", dir_ / "atlas.sqlite");
  EXPECT_EQ(get("/stats", {{"If-None-Match", tag}}).status, 200);
  EXPECT_EQ(json("/stats")["features"], 1);
  EXPECT_EQ(json("/features/1")["index"], 7);
}

TEST_F(ApiTest, RefusesWhatItDoesNotKnow) {
  start();
  for (const char* path :
       {"/features/999", "/features/x", "/features/mlp_out.9:1", "/features/-1", "/features/1.5",
        "/features/99999999999999999999", "/features/%00", "/features/%ff", "/features/1/2", "/x",
        "/", "/features/", "//features", "/features/..%2f1", "/openapi"})
    EXPECT_EQ(json(path, 404)["error"]["code"], "not_found") << path;
  for (const char* path :
       {"/features?limit=0", "/features?nothing=1", "/features?layer=1&layer=2", "/stats?limit=1",
        "/features/1?exemplars=2", "/features/1/prompt?explanation=-1", "/landscape?x=1", "/runs?a",
        "/saes?a=", "/health?a=1", "/models?a=1", "/features?text=%ff"})
    EXPECT_EQ(json(path, 400)["error"]["code"], "bad_request") << path;
  json("/health");
}

TEST_F(ApiTest, SaysThatThereIsNoModel) {
  start();
  httplib::Client client("127.0.0.1", server_->http().port());
  for (const char* path : {"/api/v1/trace", "/api/v1/chat", "/api/v1/compare"}) {
    const auto answer = client.Post(path, "{}", "application/json");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(Json::parse(answer->body)["error"]["code"], "unavailable");
  }
}

TEST_F(ApiTest, ServesWhatThereIs) {
  start({.http = {}, .run = dir_});
  json("/features", 404);
  json("/runs");
  EXPECT_EQ(json("/saes")["saes"].size(), 1U);
  start({.http = {}, .atlas = dir_ / "atlas.sqlite"});
  json("/runs", 404);
  json("/features");
  httplib::Client client("127.0.0.1", server_->http().port());
  const auto page = client.Get("/");
  ASSERT_TRUE(page);
  EXPECT_THAT(page->body, HasSubstr("make web"));
  EXPECT_THROW(start({.http = {}, .atlas = dir_ / "none.sqlite"}), Error);
}

TEST_F(ApiTest, NeedsATokenForItsDataOnly) {
  ::setenv("SAFESAIL_TEST_API_TOKEN", "a-long-secret-token", 1);
  start({.http = {.token = ApiKey::from_environment("SAFESAIL_TEST_API_TOKEN")}, .run = dir_});
  ::unsetenv("SAFESAIL_TEST_API_TOKEN");
  EXPECT_EQ(json("/health", 401)["error"]["code"], "unauthorized");
  EXPECT_EQ(get("/runs", {{"Authorization", "Bearer a-long-secret-token"}}).status, 200);
  httplib::Client client("127.0.0.1", server_->http().port());
  const auto page = client.Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
}

TEST_F(ApiTest, AnswersManyAtOnceWhileTheAtlasIsWritten) {
  start();
  std::atomic<bool> done = false;
  std::thread writer([&] {
    Atlas atlas(dir_ / "atlas.sqlite", Atlas::Mode::write);
    for (int i = 0; !done; ++i) atlas.put_tag(1, {"politics", std::to_string(i % 5), "a test"});
  });
  std::vector<std::thread> readers;
  std::atomic<int> n_wrong = 0;
  for (int r = 0; r < 8; ++r)
    readers.emplace_back([&, r] {
      httplib::Client client("127.0.0.1", server_->http().port());
      client.set_keep_alive(true);
      const char* paths[] = {"/features?domains=terror", "/stats", "/landscape", "/features/1"};
      for (int i = 0; i < 20; ++i) {
        const auto answer = client.Get(std::string("/api/v1") + paths[(i + r) % 4]);
        if (!answer || answer->status != 200 || !Json::accept(answer->body)) ++n_wrong;
      }
    });
  for (std::thread& reader : readers) reader.join();
  done = true;
  writer.join();
  EXPECT_EQ(n_wrong, 0);
}

}  // namespace
}  // namespace safesail
