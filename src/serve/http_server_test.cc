#include "serve/http_server.h"

#include <atomic>
#include <cstdlib>
#include <gmock/gmock.h>
#include <latch>
#include <optional>

#include "base/error.h"
#include "serve/http_answer.h"
#include "serve/serve_testing.h"

namespace safesail {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kGet = "GET /api/hello HTTP/1.1\r\nHost: localhost\r\n\r\n";

class HttpServerTest : public testing::Test {
 protected:
  void TearDown() override { end(); }

  void start(const HttpOptions& options = {}) {
    end();
    server_.emplace(options, silent_);
    server_->get("/api/hello", [](const auto&, auto& response) {
      send_json(response, {{"text", std::string(50'000, 'a')}});
    });
    server_->get("/api/more-than-a-socket-holds", [](const auto&, auto& response) {
      response.set_content(std::string(std::size_t{64} << 20, 'a'), "application/octet-stream");
    });
    server_->get("/api/echo/{word}", [](const auto& request, auto& response) {
      send_json(response, {{"word", std::string(request.matches[1])}});
    });
    server_->post("/api/length", [](const auto& request, auto& response) {
      send_json(response, {{"n", request.body.size()}});
    });
    server_->get("/api/fault", [](const auto&, auto&) { throw std::logic_error("a secret"); });
    server_->get("/api/input", [](const auto&, auto&) { bad_input("here", "a problem", "mend"); });
    server_->get("/api/held", [this](const auto&, auto& response) {
      arrived_.count_down();
      release_.wait();
      send_json(response, {{"late", true}});
    });
    server_->get("/api/while-you-wait", [this](const auto& request, auto& response) {
      arrived_.count_down();
      noticed_ = eventually([&] { return !server_->client_is_there(request); });
      release_.count_down();
      send_json(response, {{"late", true}});
    });
    server_->get_else([](const auto&, auto& response) { response.status = 404; });
    running_.emplace([this](std::stop_token stop) { server_->run(stop); });
  }
  void end() {
    running_.reset();
    server_.reset();
  }

  httplib::Client client() const { return httplib::Client("127.0.0.1", server_->port()); }
  RawClient raw() const { return RawClient(server_->port()); }
  std::string exchange(const std::string& bytes) const {
    const RawClient one = raw();
    one.send(bytes);
    return one.receive();
  }
  /// The shape of every refusal, and that the server still answers.
  void expect_refusal(const std::string& answer, int status, const std::string& code) const {
    EXPECT_EQ(status_of(answer), status) << answer;
    const auto body = answer.find("\r\n\r\n");
    ASSERT_NE(body, answer.npos) << answer;
    const Json json = Json::parse(answer.substr(body + 4), nullptr, false);
    ASSERT_TRUE(json.is_object() && json.contains("error")) << answer;
    EXPECT_EQ(json["error"]["code"], code);
    EXPECT_FALSE(json["error"]["message"].get<std::string>().empty());
    EXPECT_FALSE(json["error"]["remedy"].get<std::string>().empty());
    expect_alive();
  }
  void expect_alive() const {
    const auto answer = client().Get("/api/hello");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
  }

  SilentReporter silent_;
  std::optional<HttpServer> server_;
  std::optional<Running> running_;
  std::latch arrived_{1}, release_{1};
  std::atomic<bool> noticed_ = false;
};

std::string with_close(std::string request_line_and_headers, const std::string& body = {}) {
  return request_line_and_headers + "Host: localhost\r\nConnection: close\r\n\r\n" + body;
}

TEST_F(HttpServerTest, AnswersOnAConnectionThatIsKept) {
  start();
  const RawClient one = raw();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(
        one.send("GET /api/echo/w" + std::to_string(i) + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    EXPECT_THAT(one.receive_until("}"), HasSubstr("\"w" + std::to_string(i) + "\""));
  }
}

TEST_F(HttpServerTest, AnswersRequestsThatComeTogether) {
  start();
  const std::string answers = exchange("GET /api/echo/one HTTP/1.1\r\nHost: localhost\r\n\r\n" +
                                       with_close("GET /api/echo/two HTTP/1.1\r\n"));
  EXPECT_THAT(answers, HasSubstr("\"one\""));
  EXPECT_THAT(answers, HasSubstr("\"two\""));
}

TEST_F(HttpServerTest, SendsWhatProtectsThePage) {
  start();
  for (const char* path : {"/api/hello", "/api/nowhere"}) {
    const auto answer = client().Get(path);
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->get_header_value("Content-Security-Policy"),
                HasSubstr("frame-ancestors 'none'"));
    EXPECT_EQ(answer->get_header_value("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(answer->get_header_value("Cross-Origin-Resource-Policy"), "same-origin");
    EXPECT_FALSE(answer->has_header("Access-Control-Allow-Origin"));
    EXPECT_FALSE(answer->has_header("Server"));
  }
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  start();
  const std::string answer = exchange(with_close("HEAD /api/hello HTTP/1.1\r\n"));
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpServerTest, PacksForWhoTakesIt) {
  start();
  const std::string packed =
      exchange(with_close("GET /api/hello HTTP/1.1\r\nAccept-Encoding: br, gzip\r\n"));
  EXPECT_THAT(packed, HasSubstr("Content-Encoding: gzip"));
  EXPECT_LT(packed.size(), 5'000U);
  const std::string refused =
      exchange(with_close("GET /api/hello HTTP/1.1\r\nAccept-Encoding: br, gzip;q=0\r\n"));
  EXPECT_THAT(refused, Not(HasSubstr("Content-Encoding")));
  EXPECT_GT(refused.size(), 50'000U);
}

TEST_F(HttpServerTest, RefusesWhatIsNoRequest) {
  start();
  expect_refusal(exchange("\r\n\r\n"), 400, "bad_request");
  expect_refusal(exchange("GET\r\n\r\n"), 400, "bad_request");
  expect_refusal(exchange(with_close("BREW /api/hello HTTP/1.1\r\n")), 400, "bad_request");
  expect_refusal(exchange(with_close("GET /api/hello HTTP/9.9\r\n")), 400, "bad_request");
  expect_refusal(exchange(std::string("\x16\x03\x01\x00\xff\x00\r\n\r\n", 10)), 400, "bad_request");
  expect_refusal(exchange(with_close("GET /" + std::string(600, 'a') + " HTTP/1.1\r\n")), 414,
                 "bad_request");
  expect_refusal(exchange(with_close("GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\n")), 414,
                 "bad_request");
  expect_refusal(
      exchange(with_close("GET /api/hello HTTP/1.1\r\nX: " + std::string(9'000, 'a') + "\r\n")),
      400, "bad_request");
}

TEST_F(HttpServerTest, RefusesOtherMethods) {
  start();
  for (const char* method : {"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}) {
    const std::string answer =
        exchange(with_close(std::string(method) + " /api/hello HTTP/1.1\r\n"));
    expect_refusal(answer, 405, "bad_request");
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD"));
  }
  const std::string posted = exchange(with_close(
      "POST /api/hello HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n", "{}"));
  expect_refusal(posted, 405, "bad_request");
  const std::string got = exchange(with_close("GET /api/length HTTP/1.1\r\n"));
  expect_refusal(got, 405, "bad_request");
  EXPECT_THAT(got, HasSubstr("Allow: POST"));
  expect_refusal(exchange(with_close("PUT /api/nowhere HTTP/1.1\r\n")), 404, "not_found");
}

TEST_F(HttpServerTest, RefusesBodiesThatCannotBeTrusted) {
  start({.limits = {.request_bytes = 1'000}});
  const std::string post = "POST /api/length HTTP/1.1\r\n",
                    json = "Content-Type: application/json\r\n";
  const std::string fits =
      exchange(with_close(post + json + "Content-Length: 1000\r\n", std::string(1'000, ' ')));
  EXPECT_THAT(fits, HasSubstr("{\"n\":1000}"));
  EXPECT_THAT(exchange(with_close(post + json)), HasSubstr("{\"n\":0}"));
  EXPECT_THAT(exchange(with_close(post + json + "Transfer-Encoding: chunked\r\n",
                                  "5\r\nhello\r\n0\r\n\r\n")),
              HasSubstr("{\"n\":5}"));

  expect_refusal(exchange(with_close(post + json + "Content-Length: 1001\r\n")), 413, "too_large");
  expect_refusal(exchange(with_close(post + json + "Content-Length: 99999999999999999999\r\n")),
                 413, "too_large");
  expect_refusal(exchange(with_close(post + json + "Content-Length: -1\r\n")), 400, "bad_request");
  expect_refusal(exchange(with_close(post + json + "Content-Length: 1\r\nContent-Length: 2\r\n")),
                 400, "bad_request");
  expect_refusal(
      exchange(with_close(post + json + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")),
      400, "bad_request");
  expect_refusal(
      exchange(with_close(post + "Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}")), 415,
      "unsupported_media_type");
  expect_refusal(exchange(with_close(post + "Content-Type: multipart/form-data; boundary=x\r\n"
                                            "Content-Length: 2\r\n",
                                     "{}")),
                 415, "unsupported_media_type");
  expect_refusal(
      exchange(with_close(post + json + "Content-Encoding: gzip\r\nContent-Length: 2\r\n", "{}")),
      415, "unsupported_media_type");
  expect_refusal(exchange(with_close("GET /api/hello HTTP/1.1\r\nContent-Length: 2\r\n", "{}")),
                 400, "bad_request");
  // Chunks without end: what is beyond the limit is not kept.
  std::string chunks;
  for (int i = 0; i < 80; ++i) chunks += "3e8\r\n" + std::string(1'000, 'x') + "\r\n";
  const std::string endless =
      exchange(with_close(post + json + "Transfer-Encoding: chunked\r\n", chunks));
  expect_refusal(endless, 413, "too_large");
}

TEST_F(HttpServerTest, DoesNotTakeARefusedBodyForARequest) {
  start();
  const std::string inner = "GET /api/echo/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const std::string& head :
       {std::string("POST /api/length HTTP/1.1\r\nContent-Type: text/plain\r\n"),
        std::string("GET /api/hello HTTP/1.1\r\n")}) {
    const std::string answer = exchange(
        head + fmt::format("Host: localhost\r\nContent-Length: {}\r\n\r\n", inner.size()) + inner);
    EXPECT_THAT(answer, Not(HasSubstr("smuggled")));
  }
}

TEST_F(HttpServerTest, AnswersFaultsWithoutTheirText) {
  start();
  const auto fault = client().Get("/api/fault");
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->status, 500);
  EXPECT_EQ(fault->body.find("secret"), std::string::npos);
  const auto input = client().Get("/api/input");
  ASSERT_TRUE(input);
  EXPECT_EQ(input->status, 400);
  EXPECT_EQ(Json::parse(input->body)["error"]["remedy"], "mend");
}

TEST_F(HttpServerTest, KnowsThisMachineByItsNames) {
  start();
  for (const char* host : {"localhost", "127.0.0.1", "127.0.0.1:80", "[::1]:9", "localhost:1"}) {
    const auto answer = client().Get("/api/echo/a", {{"Host", host}});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200) << host;
  }
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "evil.example:80", "[::2]"})
    expect_refusal(exchange(fmt::format("GET /api/hello HTTP/1.1\r\nHost: {}\r\n\r\n", host)), 403,
                   "forbidden");
  expect_refusal(exchange("GET /api/hello HTTP/1.1\r\n\r\n"), 403, "forbidden");
  expect_refusal(
      exchange("GET /api/hello HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"), 400,
      "bad_request");
}

TEST_F(HttpServerTest, WantsItsToken) {
  ::setenv("SAFESAIL_TEST_TOKEN", "a-long-secret-token", 1);
  start({.token = ApiKey::from_environment("SAFESAIL_TEST_TOKEN"), .guarded = "/api/"});
  ::unsetenv("SAFESAIL_TEST_TOKEN");
  const auto ask = [&](const char* authorization, const char* path = "/api/echo/a") {
    const auto answer = client().Get(path, {{"Authorization", authorization}});
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->body.find("a-long-secret"), std::string::npos);
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(ask("Bearer a-long-secret-token"), 200);
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer a-long-secret-tokem",
                            "Bearer a-long-secret-token2", "Bearer a-long", "a-long-secret-token"})
    EXPECT_EQ(ask(wrong), 401) << wrong;
  EXPECT_EQ(ask("", "/"), 404) << "the page needs none";
  EXPECT_EQ(ask("", "/api/nowhere"), 401);
}

TEST_F(HttpServerTest, IsNotOpenToOthersWithoutAToken) {
  EXPECT_THROW(HttpServer({.host = "0.0.0.0"}, silent_), Error);
  EXPECT_NO_THROW(HttpServer({.host = "0.0.0.0", .open = true}, silent_));
}

TEST_F(HttpServerTest, DoesNotShareItsPort) {
  start();
  EXPECT_THROW(HttpServer({.port = server_->port()}, silent_), Error);
}

TEST_F(HttpServerTest, CutsOffWhoSendsSlowlyAndAnswersOthersMeanwhile) {
  start({.limits = {.request_time = 300ms}});
  const RawClient slow = raw();
  std::atomic<bool> cut_off = false;
  std::thread drip([&] {
    for (const char c : std::string(kGet))
      if (!slow.send({&c, 1}))
        break;
      else
        std::this_thread::sleep_for(30ms);
    cut_off = true;
  });
  int n_answered = 0;
  while (!cut_off && n_answered < 100'000) {
    const auto answer = client().Get("/api/echo/a");
    ASSERT_TRUE(answer);
    ++n_answered;
  }
  drip.join();
  EXPECT_GT(n_answered, 0);
  EXPECT_EQ(status_of(slow.receive()), 408);

  // The same in the body.
  const RawClient slow_body = raw();
  slow_body.send(
      "POST /api/length HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 10\r\n\r\n{");
  EXPECT_EQ(status_of(slow_body.receive()), 408);
  expect_alive();
}

TEST_F(HttpServerTest, LeavesWhoDoesNotTakeTheAnswer) {
  start({.limits = {.answer_time = 200ms}, .max_connections = 2});
  const RawClient deaf = raw(), deaf_too = raw();
  for (const RawClient* one : {&deaf, &deaf_too})
    one->send("GET /api/more-than-a-socket-holds HTTP/1.1\r\nHost: localhost\r\n\r\n");
  expect_alive();  // waits until one of the two is let go
}

TEST_F(HttpServerTest, LivesOnWhenClientsLeave) {
  start();
  for (int i = 0; i < 50; ++i) {
    RawClient leaves = raw();
    leaves.send(i % 2 == 0 ? std::string_view(kGet) : std::string_view(kGet).substr(0, 20));
    leaves.close();
  }
  expect_alive();
}

TEST_F(HttpServerTest, AHandlerSeesThatItsClientHasLeft) {
  start();
  {
    RawClient leaving = raw();
    leaving.send("GET /api/while-you-wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
    arrived_.wait();
    expect_alive();
    leaving.close();
    release_.wait();
  }
  EXPECT_TRUE(noticed_);
  expect_alive();
}

TEST_F(HttpServerTest, TellsWhoCannotBeServedNowToComeBack) {
  start({.max_connections = 1});
  const RawClient held = raw();
  held.send(with_close("GET /api/held HTTP/1.1\r\n"));
  arrived_.wait();
  const RawClient waits = raw();
  waits.send(with_close("GET /api/echo/patient HTTP/1.1\r\n"));
  // Each connection is accepted in turn: the third finds the place of those who wait taken.
  const std::string busy = exchange(kGet);
  EXPECT_EQ(status_of(busy), 503) << busy;
  EXPECT_THAT(busy, HasSubstr("Retry-After: "));
  EXPECT_THAT(busy, HasSubstr("\"busy\""));
  // Who is turned away may still be sending: a reset would destroy the answer on its way.
  const RawClient sends = raw();
  sends.send("POST /api/length HTTP/1.1\r\n");
  EXPECT_THAT(sends.receive_until("}}"), HasSubstr("\"busy\""));
  EXPECT_TRUE(sends.send("Host: localhost\r\n"));
  EXPECT_TRUE(sends.send("Content-Length: 4\r\n")) << "the connection was reset";
  release_.count_down();
  EXPECT_THAT(held.receive(), HasSubstr("late"));
  EXPECT_THAT(waits.receive(), HasSubstr("patient"));
}

TEST_F(HttpServerTest, ReadsNamesInHeadersWithoutRegardToCase) {
  ::setenv("SAFESAIL_TEST_TOKEN", "a-long-secret-token", 1);
  start({.token = ApiKey::from_environment("SAFESAIL_TEST_TOKEN")});
  ::unsetenv("SAFESAIL_TEST_TOKEN");
  const auto ask = [&](const std::string& host, const std::string& type,
                       const std::string& scheme) {
    return status_of(exchange("POST /api/length HTTP/1.1\r\nConnection: close\r\nHost: " + host +
                              "\r\nContent-Type: " + type + "\r\nAuthorization: " + scheme +
                              "\r\nContent-Length: 2\r\n\r\n{}"));
  };
  const std::string host = fmt::format("LocalHost:{}", server_->port());
  EXPECT_EQ(ask(host, "Application/JSON; charset=utf-8", "bearer a-long-secret-token"), 200);
  EXPECT_EQ(ask("evil.example", "application/json", "Bearer a-long-secret-token"), 403);
  EXPECT_EQ(ask(host, "application/jsonp", "Bearer a-long-secret-token"), 415);
  EXPECT_EQ(ask(host, "application/json", "Bearer A-long-secret-token"), 401);
  EXPECT_TRUE(is_loopback("LOCALHOST"));
}

TEST_F(HttpServerTest, SaysWhatThereIs) {
  start({.help = "ask for this or that"});
  const auto nowhere = client().Get("/api/nowhere");
  ASSERT_TRUE(nowhere);
  EXPECT_THAT(nowhere->body, HasSubstr("ask for this or that"));
}

TEST_F(HttpServerTest, MakesRoomForWhoWaits) {
  start({.idle_time = 10min, .max_connections = 1});
  const RawClient idle = raw();
  idle.send("GET /api/echo/first HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(idle.receive_until("}"), HasSubstr("first"));
  EXPECT_THAT(exchange(with_close("GET /api/echo/next HTTP/1.1\r\n")), HasSubstr("next"));
}

TEST_F(HttpServerTest, KeepsTwoHundredConnections) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(std::make_unique<RawClient>(server_->port()));
  for (int round = 0; round < 2; ++round) {
    for (const auto& one : clients)
      ASSERT_TRUE(one->send("GET /api/echo/again HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    for (const auto& one : clients) EXPECT_THAT(one->receive_until("}"), HasSubstr("again"));
  }
}

TEST_F(HttpServerTest, EndsWhileClientsIdleAndFinishesWhatIsUnderWay) {
  start({.idle_time = 10min});
  const RawClient idle = raw(), half = raw(), held = raw();
  idle.send("GET /api/echo/first HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(idle.receive_until("}"), HasSubstr("first"));
  half.send(std::string_view(kGet).substr(0, 20));
  held.send(kGet);
  EXPECT_THAT(held.receive_until("}"), HasSubstr("aaa"));
  held.send("GET /api/held HTTP/1.1\r\nHost: localhost\r\n\r\n");
  arrived_.wait();
  std::thread release([&] { release_.count_down(); });
  running_.reset();
  release.join();
  EXPECT_THAT(held.receive(), HasSubstr("late"));
  EXPECT_EQ(idle.receive(), "");
}

TEST(TakesGzip, ReadsWeights) {
  const auto takes = [](const char* accepted) {
    httplib::Request request;
    request.set_header("Accept-Encoding", accepted);
    return takes_gzip(request);
  };
  EXPECT_TRUE(takes("gzip"));
  EXPECT_TRUE(takes("GZip"));
  EXPECT_TRUE(takes("br;q=1.0, gzip;q=0.8, *;q=0.1"));
  EXPECT_FALSE(takes("br"));
  EXPECT_FALSE(takes("gzip;q=0, br;q=1"));
  EXPECT_FALSE(takes(""));
}

}  // namespace
}  // namespace safesail
