// The description of the API against the server that it describes.
#include "serve/openapi.h"

#include <gmock/gmock.h>
#include <set>

#include "serve/api_testing.h"
#include "serve/schema_testing.h"

namespace safesail {
namespace {

class OpenApiTest : public ApiTest {
 protected:
  const Json document_ = Json::parse(openapi_text());

  const Json& schema_of(const std::string& path, const std::string& status) const {
    const Json* answer =
        &document_.at("paths").at("/api/v1" + path).at("get").at("responses").at(status);
    if (answer->contains("$ref"))
      answer = &document_.at(Json::json_pointer(answer->at("$ref").get<std::string>().substr(1)));
    return answer->at("content").at("application/json").at("schema");
  }
  /// That the answer to `asked`, which is of the described `path`, is as described.
  void expect_as_described(const std::string& path, const std::string& asked, int status = 200) {
    EXPECT_EQ(
        Schema(document_).violation(json(asked, status), schema_of(path, std::to_string(status))),
        "")
        << asked;
  }
};

TEST_F(OpenApiTest, DescribesEveryRouteAndNoOther) {
  start();
  std::set<std::string> described, routed;
  for (const auto& [path, methods] : document_.at("paths").items())
    for (const auto& [method, ignored] : methods.items())
      described.insert((method == "get" ? "GET " : "POST ") + path);
  for (const HttpServer::Route& route : server_->http().routes())
    routed.insert(route.method + " " + route.path);
  EXPECT_EQ(described, routed);
}

TEST_F(OpenApiTest, RefersToWhatIsThere) {
  const std::function<void(const Json&)> walk = [&](const Json& json) {
    if (json.is_object() && json.contains("$ref")) {
      EXPECT_TRUE(document_.contains(Json::json_pointer(json["$ref"].get<std::string>().substr(1))))
          << json;
    }
    for (const Json& inner : json)
      if (inner.is_structured()) walk(inner);
  };
  walk(document_);
}

TEST_F(OpenApiTest, DescribesWhatTheServerAnswers) {
  start();
  for (const char* path : {"/health", "/models", "/saes", "/stats", "/features", "/landscape",
                           "/runs", "/openapi.json"}) {
    expect_as_described(path, path);
    expect_as_described(path, std::string(path) + "?nothing=1", 400);
  }
  EXPECT_EQ(json("/openapi.json"), document_);
  expect_as_described("/features", "/features?domains=terror&language=zh&limit=500&order=place");
  expect_as_described("/stats", "/stats?explained=true");
  for (int id = 1; id <= kFeatures; ++id)
    expect_as_described("/features/{feature}", fmt::format("/features/{}", id));
  expect_as_described("/features/{feature}", "/features/1?exemplars=false");
  expect_as_described("/features/{feature}", "/features/999", 404);
  expect_as_described("/features/{feature}/prompt", "/features/1/prompt");
  expect_as_described("/features/{feature}/prompt", "/features/1/prompt?explanation=2", 404);
  start({.http = {}, .run = dir_});
  for (const char* path : {"/stats", "/features", "/landscape"})
    expect_as_described(path, path, 404);
}

TEST_F(OpenApiTest, HasExamplesThatAreAsDescribed) {
  for (const auto& [path, methods] : document_.at("paths").items())
    for (const auto& [method, operation] : methods.items()) {
      const Json& answer = operation.at("responses").at("200").at("content");
      if (const auto json = answer.find("application/json");
          json != answer.end() && json->contains("example")) {
        EXPECT_EQ(Schema(document_).violation(json->at("example"), json->at("schema")), "") << path;
      }
    }
}

TEST(Schema, CanFail) {
  const Json document = Json::parse(openapi_text());
  const Schema schema(document);
  const Json& error = document.at("components").at("schemas").at("Error");
  const Json good{{"error", {{"code", "busy"}, {"message", "m"}, {"remedy", "r"}}}};
  EXPECT_EQ(schema.violation(good, error), "");
  for (const char* patch : {R"([{"op":"remove","path":"/error/remedy"}])",
                            R"([{"op":"replace","path":"/error/code","value":"other"}])",
                            R"([{"op":"replace","path":"/error/message","value":3}])",
                            R"([{"op":"add","path":"/error/more","value":3}])",
                            R"([{"op":"replace","path":"/error","value":[]}])"})
    EXPECT_NE(schema.violation(good.patch(Json::parse(patch)), error), "") << patch;
}

}  // namespace
}  // namespace safesail
