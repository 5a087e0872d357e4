// The packaged model behind an OpenAI-compatible server that runs while a test asks it.
#pragma once

#include <gtest/gtest.h>
#include <httplib.h>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "base/installed_testing.h"
#include "endpoint_testing.h"
#include "serve/openai.h"
#include "workspace.h"

namespace safesail {

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

}  // namespace safesail
