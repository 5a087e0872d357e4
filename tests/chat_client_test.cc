// The client against an endpoint that misbehaves: what may pass is tried again, what cannot ends
// the work, nothing is paid twice, the budget holds, and the key gets nowhere.
#include <array>
#include <atomic>
#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "endpoint_testing.h"

namespace safesail {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;
using Oracle = OracleEndpoint;

std::string gzipped(const std::string& text) {
  std::string packed(text.size() / 100 + 1000, ' ');
  z_stream z{};
  deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

ChatRequest question(int i) {
  return {.purpose = "test", .messages = {{"system", ""}, {"user", fmt::format("question {}", i)}}};
}
std::vector<ChatRequest> questions(int n) {
  std::vector<ChatRequest> all;
  for (int i = 0; i < n; ++i) all.push_back(question(i));
  return all;
}

class ChatClientTest : public EndpointTest {};

TEST_F(ChatClientTest, TriesAgainWhatMayPass) {
  EndpointSettings settings = settings_for(oracle);
  settings.max_attempts = 10;
  settings.timeout = milliseconds(2000);
  FileLedger ledger(dir_ / "ledger.jsonl");
  ChatClient client = client_for(settings, &ledger);
  oracle.misbehave({oracle.silence(), Oracle::status(500), Oracle::status(429),
                    Oracle::status(503, "<html>busy</html>"), Oracle::hang_up(),
                    Oracle::body(R"({"choices": [{"message": {"content": "cut sh)"),
                    Oracle::body("{}")});
  const ChatResult result = client.ask(questions(1)).front();
  EXPECT_EQ(result.status, AnswerStatus::ok) << result.detail;
  EXPECT_EQ(result.n_requests, 8);
  EXPECT_EQ(oracle.n_requests(), 8);
  ASSERT_EQ(ledger.entries.size(), 1U);
  EXPECT_EQ(ledger.entries[0].at("n_requests"), 8);
}

TEST_F(ChatClientTest, GivesUpOnWhatDoesNotPass) {
  ChatClient client = client_for(settings_for(oracle));
  oracle.misbehave({Oracle::status(500), Oracle::status(502),
                    Oracle::status(500, R"({"error": {"message": "third"}})"),
                    Oracle::body(std::string(kMaxAnswerBytes + 1, ' '))});
  const auto results = client.ask(questions(3));
  EXPECT_EQ(results[0].status, AnswerStatus::failed);
  EXPECT_EQ(results[0].detail, "HTTP 500: third");
  EXPECT_EQ(results[1].status, AnswerStatus::failed) << "a body of more than 8 MiB";
  EXPECT_THAT(results[1].detail, HasSubstr("larger than 8.0 MiB"));
  EXPECT_EQ(results[2].status, AnswerStatus::ok);
  EXPECT_EQ(oracle.n_requests(), 5) << "a giant is not asked again";
}

TEST_F(ChatClientTest, ShowsWhatCameInPlaceOfAnAnswer) {
  ChatClient client = client_for(settings_for(oracle));
  oracle.misbehave(std::vector<Oracle::Misdeed>(3, Oracle::body("<html>sign in</html>")));
  const ChatResult result = client.ask(questions(1)).front();
  EXPECT_EQ(result.status, AnswerStatus::failed);
  EXPECT_THAT(result.detail, HasSubstr("the answer begins: \"<html>sign in</html>\""));
}

TEST_F(ChatClientTest, HonoursRetryAfter) {
  EndpointSettings settings = settings_for(oracle);
  settings.longest_retry_after = milliseconds(2000);
  ChatClient client = client_for(settings);
  oracle.misbehave({Oracle::status(429, "{}", "1"), Oracle::status(429, "{}", "3")});
  const std::string error = thrown_by([&] { client.ask(questions(1)); });
  EXPECT_THAT(error, HasSubstr("asks to wait 0:03"));
  const auto arrivals = oracle.arrivals();
  ASSERT_EQ(arrivals.size(), 2U);
  // The second request came no sooner than it was asked to; curl's clock and ours are the same.
  EXPECT_GE(arrivals[1] - arrivals[0], milliseconds(1000));
}

TEST_F(ChatClientTest, StopsAtOnceWithoutPermissionOrCredit) {
  for (const int status : {401, 402, 403, 404}) {
    Oracle other;
    ChatClient client = client_for(settings_for(other));
    other.misbehave({Oracle::text("one"), Oracle::status(status)});
    const std::string error = thrown_by([&] { client.ask(questions(5)); });
    EXPECT_THAT(error, HasSubstr(fmt::format("HTTP {}", status)));
    EXPECT_EQ(other.n_requests(), 2);
    EXPECT_EQ(thrown_by([&] { client.ask(questions(1)); }), error) << "it does not begin again";
    EXPECT_EQ(other.n_requests(), 2);
  }
  {
    Oracle other;
    ChatClient client = client_for(settings_for(other));
    other.misbehave({Oracle::body(R"({"error": {"message": "pay", "code": 402}})")});
    EXPECT_THAT(thrown_by([&] { client.ask(questions(5)); }), HasSubstr("HTTP 402: pay"));
    EXPECT_EQ(other.n_requests(), 1) << "a gateway's 402 under 200";
  }
  ChatClient client = client_for(settings_for(oracle));
  oracle.misbehave(
      {Oracle::status(429, R"({"error": {"message": "pay", "code": "insufficient_quota"}})")});
  EXPECT_THAT(thrown_by([&] { client.ask(questions(5)); }), HasSubstr("insufficient_quota"));
  EXPECT_EQ(oracle.n_requests(), 1);
}

TEST_F(ChatClientTest, EndsWhenNothingWorks) {
  EndpointSettings settings = settings_for(oracle);
  settings.base_url = "http://127.0.0.1:1/v1";
  settings.max_failures_in_a_row = 3;
  ChatClient client = client_for(settings);
  EXPECT_THAT(thrown_by([&] { client.ask(questions(100)); }),
              HasSubstr("3 requests in a row failed"));
}

TEST_F(ChatClientTest, LeavesOutWhatTheEndpointDoesNotTake) {
  ChatClient client = client_for(settings_for(oracle));
  const auto complain = [](const std::string& text) {
    return Oracle::status(400, Json{{"error", {{"message", text}}}}.dump());
  };
  oracle.misbehave({complain("response_format is not supported"),
                    complain("logprobs: unknown field"),
                    complain("Use 'max_completion_tokens' instead.")});
  auto asked = questions(2);
  for (ChatRequest& request : asked) {
    request.schema = R"({"type": "object"})";
    request.top_logprobs = 5;
  }
  for (const ChatResult& result : client.ask(asked)) EXPECT_EQ(result.status, AnswerStatus::ok);
  const auto bodies = oracle.bodies();
  ASSERT_EQ(bodies.size(), 5U) << "each is learnt once";
  const Json first = Json::parse(bodies[0]), last = Json::parse(bodies[4]);
  for (const char* key : {"response_format", "logprobs", "max_tokens"}) {
    EXPECT_TRUE(first.contains(key)) << key;
    EXPECT_FALSE(last.contains(key)) << key;
  }
  EXPECT_TRUE(last.contains("max_completion_tokens"));
}

/// With a schema and probabilities.
std::vector<ChatRequest> full_questions(int n) {
  std::vector<ChatRequest> all = questions(n);
  for (ChatRequest& request : all) {
    request.schema = R"({"type": "object"})";
    request.top_logprobs = 5;
  }
  return all;
}

TEST_F(ChatClientTest, LeavesOutFieldsHoweverTheyAreRefused) {
  ChatClient client = client_for(settings_for(oracle));
  oracle.misbehave(
      {Oracle::status(403, R"({"error": {"message": "You are not allowed to request logprobs"}})"),
       Oracle::status(500,
                      R"({"error": {"message": "Jinja Exception: System role not supported"}})"),
       Oracle::status(422,
                      R"({"detail": [{"loc": ["body", "seed"], "msg": "extra_forbidden"}]})")});
  std::vector<ChatRequest> asked = full_questions(2);
  for (ChatRequest& request : asked) request.messages[0].content = "be brief";
  for (const ChatResult& result : client.ask(asked))
    EXPECT_EQ(result.status, AnswerStatus::ok) << result.detail;
  const auto bodies = oracle.bodies();
  ASSERT_EQ(bodies.size(), 5U) << "each is learnt once, with one request";
  const Json last = Json::parse(bodies[4]);
  EXPECT_FALSE(last.contains("logprobs"));
  EXPECT_FALSE(last.contains("top_logprobs"));
  EXPECT_FALSE(last.contains("seed"));
  EXPECT_TRUE(last.contains("response_format"));
  ASSERT_EQ(last.at("messages").size(), 1U);
  EXPECT_EQ(last.at("messages")[0].at("content"), "be brief\n\nquestion 1");
}

TEST_F(ChatClientTest, OneBadRequestCostsTheOthersNothing) {
  ChatClient client = client_for(settings_for(oracle));
  const auto too_long = Oracle::status(
      400,
      R"({"error": {"message": "maximum context length", "code": "context_length_exceeded"}})");
  const auto odd = Oracle::status(400, R"({"error": {"message": "I do not like this one"}})");
  oracle.misbehave({too_long, odd, odd});
  const auto results = client.ask(full_questions(3));
  EXPECT_EQ(results[0].status, AnswerStatus::failed);
  EXPECT_THAT(results[0].detail, HasSubstr("context_length_exceeded"));
  EXPECT_TRUE(results[0].too_long);
  EXPECT_FALSE(results[1].too_long);
  EXPECT_EQ(results[1].status, AnswerStatus::failed) << "nor does it pass without its schema";
  EXPECT_EQ(results[2].status, AnswerStatus::ok);
  const auto bodies = oracle.bodies();
  ASSERT_EQ(bodies.size(), 4U);
  EXPECT_FALSE(Json::parse(bodies[2]).contains("response_format")) << "tried";
  EXPECT_TRUE(Json::parse(bodies[3]).contains("response_format")) << "and not learnt";

  // Where it does help, that is learnt.
  oracle.misbehave({odd});
  for (const ChatResult& result : client.ask(full_questions(5)))
    EXPECT_EQ(result.status, AnswerStatus::ok);
  EXPECT_FALSE(Json::parse(oracle.bodies().back()).contains("response_format"));
}

TEST_F(ChatClientTest, TellsTheAddressOfARedirectAndDoesNotFollow) {
  OracleEndpoint elsewhere;
  oracle.misbehave({[&](const auto&, auto& response) {
    response.status = 308;
    response.set_header("Location", elsewhere.url() + "/chat/completions");
  }});
  ChatClient client = client_for(settings_for(oracle));
  const std::string error = thrown_by([&] { client.ask(questions(3)); });
  EXPECT_THAT(error, HasSubstr("HTTP 308: the endpoint is at \"" + elsewhere.url() + "\""));
  EXPECT_EQ(elsewhere.n_requests(), 0);
  EXPECT_EQ(oracle.n_requests(), 1);
}

TEST_F(ChatClientTest, ReadsCompressedAnswersAndBoundsThem) {
  ChatClient client = client_for(settings_for(oracle));
  const auto compressed = [](std::string body) {
    return [body = std::move(body)](const auto&, auto& response) {
      response.set_header("Content-Encoding", "gzip");
      response.set_content(gzipped(body), "application/json");
    };
  };
  const Json answer = Oracle::completion({{"role", "assistant"}, {"content", "small"}});
  oracle.misbehave({compressed(answer.dump()), compressed(std::string(kMaxAnswerBytes + 1, ' '))});
  const auto results = client.ask(questions(2));
  EXPECT_EQ(results[0].status, AnswerStatus::ok) << results[0].detail;
  EXPECT_EQ(results[0].answer.content, "small");
  EXPECT_THAT(results[1].detail, HasSubstr("larger than 8.0 MiB")) << "a bomb of 8 KB";
}

TEST_F(ChatClientTest, BooksWhatIsPaidThoughItCannotBeRead) {
  EndpointSettings settings = settings_for(oracle);
  settings.timeout = milliseconds(2000);
  FileLedger ledger(dir_ / "ledger.jsonl");
  Budget tokens({}, {});
  ChatClient client(settings, {}, tokens, &ledger, reporter);
  const std::uint64_t likely = client.estimate(questions(1)).usage.total();
  oracle.misbehave({Oracle::body(R"({"usage": {"prompt_tokens": 700, "completion_tokens": 7}})"),
                    oracle.silence()});
  const ChatResult result = client.ask(questions(1)).front();
  EXPECT_EQ(result.status, AnswerStatus::ok) << result.detail;
  EXPECT_EQ(result.lost.total(), 707 + likely) << "as it says, and as it is likely";
  EXPECT_EQ(tokens.spent().total(), 707 + likely + result.answer.usage.total());
  EXPECT_EQ(ledger.entries.at(0).at("prompt").get<std::uint64_t>() +
                ledger.entries.at(0).at("completion").get<std::uint64_t>(),
            tokens.spent().total());

  // What is lost can use up the budget; it is booked all the same.
  Budget small({.tokens = 3000}, {});
  ChatClient other(settings, {}, small, &ledger, reporter);
  oracle.misbehave({Oracle::body(R"({"usage": {"prompt_tokens": 2500, "completion_tokens": 0}})")});
  EXPECT_THAT(thrown_by([&] { other.ask(std::vector{question(5)}); }),
              HasSubstr("might go beyond 3000 tokens: 2500 tokens"));
  EXPECT_EQ(ledger.entries.at(1).at("prompt"), 2500);
  EXPECT_EQ(ledger.entries.at(1).at("status"), "failed");
}

TEST_F(ChatClientTest, AsksSeveralAtOnce) {
  std::mutex mutex;
  std::condition_variable arrived;
  int n_waiting = 0;
  bool met = false;
  oracle.before_each = [&](const auto&) {
    std::unique_lock lock(mutex);
    met = met || ++n_waiting == 3;
    arrived.notify_all();
    arrived.wait_for(lock, std::chrono::seconds(20), [&] { return met; });
  };
  EndpointSettings settings = settings_for(oracle);
  settings.concurrency = 3;
  ChatClient client = client_for(settings);
  client.ask(questions(6));
  EXPECT_TRUE(met) << "three requests were never under way together";
}

TEST_F(ChatClientTest, AsksTheSameQuestionOnce) {
  EndpointSettings settings = settings_for(oracle);
  settings.concurrency = 4;
  FileLedger ledger(dir_ / "ledger.jsonl");
  ChatClient client = client_for(settings, &ledger);
  const std::vector<ChatRequest> same(8, question(0));
  EXPECT_EQ(client.estimate(same).requests, 1U);
  const auto results = client.ask(same);
  EXPECT_EQ(oracle.n_requests(), 1);
  EXPECT_EQ(
      std::count_if(results.begin(), results.end(), [](const auto& r) { return r.from_ledger; }),
      7);
  EXPECT_EQ(client.estimate(same).answered, 8U);
  EXPECT_EQ(client.spending().at("test").answers, 8U);
}

TEST_F(ChatClientTest, EstimatesWhatRequestsHaveInCommon) {
  ChatClient client = client_for(settings_for(oracle), nullptr);
  std::vector<ChatRequest> asked(3);
  for (std::size_t i = 0; i < asked.size(); ++i)
    asked[i].messages = {{"system", "You know a lot."}, {"user", fmt::format("Question {}", i)}};
  asked[2].messages[0].content = "You know nothing.";
  EXPECT_EQ(client.estimate(asked).shared, likely_tokens("You know a lot."));
}

TEST_F(ChatClientTest, StaysWithinTheBudget) {
  Price price{.prompt = 1000, .cached = 1000, .completion = 2000};
  FileLedger ledger(dir_ / "ledger.jsonl");
  EndpointSettings settings = settings_for(oracle);
  settings.concurrency = 3;
  std::vector<ChatRequest> asked = questions(20);
  for (ChatRequest& request : asked) request.max_tokens = 50;
  {
    Budget small({.money = 0.7}, price);
    ChatClient client(settings, {}, small, &ledger, reporter);
    EXPECT_GT(client.estimate(asked).money, 0.7);
    EXPECT_THAT(thrown_by([&] { client.ask(asked); }), HasSubstr("might go beyond 0.7 USD"));
    EXPECT_LE(small.money(), 0.7);
    EXPECT_GT(small.money(), 0);
    EXPECT_THAT(reporter.heard(), HasSubstr("USD"));
  }
  const int before = oracle.n_requests();
  EXPECT_LT(before, 20);
  EXPECT_GT(before, 0);
  Budget large({.tokens = 1'000'000}, price);
  ChatClient client(settings, {}, large, &ledger, reporter);
  for (const ChatResult& result : client.ask(asked)) EXPECT_EQ(result.status, AnswerStatus::ok);
  EXPECT_EQ(oracle.n_requests(), 20) << "what was answered before is not asked again";
  EXPECT_EQ(ledger.entries.size(), 20U);
  EXPECT_THROW(Budget({.money = 1}, {}), Error) << "money is limited, the price unknown";
}

TEST_F(ChatClientTest, TheBudgetOfTimeEndsAtAnAnswer) {
  // The first answer takes more than there is, whatever the machine does meanwhile.
  constexpr double kSeconds = 0.05;
  oracle.before_each = [](const auto&) {
    std::this_thread::sleep_for(std::chrono::duration<double>(2 * kSeconds));
  };
  FileLedger ledger(dir_ / "ledger.jsonl");
  Budget brief({.seconds = kSeconds}, {});
  ChatClient client(settings_for(oracle), {}, brief, &ledger, reporter);
  EXPECT_THAT(thrown_by([&] { client.ask(questions(5)); }), HasSubstr("have passed"));
  EXPECT_EQ(oracle.n_requests(), 1);
  EXPECT_EQ(ledger.entries.size(), 1U) << "what was under way is kept";
  EXPECT_THROW(Budget({.seconds = -1}, {}), Error);
}

TEST_F(ChatClientTest, PromptsThatAreTooLongAreNoSignThatNothingWorks) {
  EndpointSettings settings = settings_for(oracle);
  settings.max_failures_in_a_row = 2;
  ChatClient client = client_for(settings);
  const auto too_long =
      Oracle::status(400, R"({"error": {"message": "no", "code": "context_length_exceeded"}})");
  oracle.misbehave({too_long, too_long, too_long});
  const auto results = client.ask(questions(4));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(results[i].too_long, i < 3);
  EXPECT_EQ(results[3].status, AnswerStatus::ok);
}

TEST_F(ChatClientTest, StopLosesNoAnswerThatIsUnderWay) {
  std::stop_source stop;
  oracle.before_each = [&](const auto&) { stop.request_stop(); };
  FileLedger ledger(dir_ / "ledger.jsonl");
  ChatClient client(settings_for(oracle), {}, budget, &ledger, reporter, stop.get_token());
  EXPECT_THAT(thrown_by([&] { client.ask(questions(5)); }), HasSubstr("stopped"));
  EXPECT_EQ(oracle.n_requests(), 1);
  EXPECT_EQ(ledger.entries.size(), 1U);

  EndpointSettings impatient = settings_for(oracle);
  impatient.stop_grace = milliseconds(0);
  oracle.misbehave({oracle.silence()});
  std::stop_source again;
  oracle.before_each = [&](const auto&) { again.request_stop(); };
  ChatClient other(impatient, {}, budget, &ledger, reporter, again.get_token());
  EXPECT_THAT(thrown_by([&] { other.ask(std::vector{question(9)}); }), HasSubstr("stopped"));
  ASSERT_EQ(ledger.entries.size(), 2U) << "it was sent, so it may be charged for";
  EXPECT_EQ(ledger.entries[1].at("status"), "failed");
  EXPECT_FALSE(ledger.entries[1].contains("answer")) << "and is asked again";
}

TEST_F(ChatClientTest, ShowsTheKeyNowhere) {
  const std::string secret = "sk-secret-0123456789";
  write_file(dir_ / "key", secret + "\n");
  FileLedger ledger(dir_ / "ledger.jsonl");
  const auto echo = [](int status) {
    return [=](const httplib::Request& request, httplib::Response& response) {
      response.status = status;
      const std::string got = request.get_header_value("Authorization");
      if (status == 200)
        Oracle::say(response, "you sent " + got);
      else
        response.set_content(Json{{"error", {{"message", "bad key " + got}}}}.dump(),
                             "application/json");
    };
  };
  oracle.misbehave({echo(200), echo(400), echo(500), echo(500), echo(500), echo(401)});
  ChatClient client(settings_for(oracle), ApiKey::from_file(dir_ / "key"), budget, &ledger,
                    reporter);
  const auto results = client.ask(questions(3));
  EXPECT_EQ(results[0].answer.content, "you sent Bearer [key]") << "it was sent";
  EXPECT_EQ(results[1].status, AnswerStatus::failed);
  EXPECT_THAT(results[1].detail, HasSubstr("[key]"));
  EXPECT_THAT(results[2].detail, HasSubstr("[key]"));
  EXPECT_THAT(thrown_by([&] { client.ask(std::vector{question(7)}); }),
              HasSubstr("bad key Bearer [key]"));
  for (const ChatResult& result : results) EXPECT_THAT(result.detail, Not(HasSubstr(secret)));
  EXPECT_THAT(read_file(dir_ / "ledger.jsonl", 1 << 20), Not(HasSubstr(secret)));
  EXPECT_THAT(reporter.heard(), Not(HasSubstr(secret)));
}

// Not of the fixture: the child must be made before this process has threads.
TEST(ChatClientKilled, RunNeitherLosesNorRepeatsAPaidRequest) {
  const fs::path path =
      fs::temp_directory_path() / fmt::format("safesail_killed_ledger{}.jsonl", ::getpid());
  fs::remove(path);
  std::array<int, 2> url_pipe{};
  ASSERT_EQ(::pipe(url_pipe.data()), 0);
  const auto run = [&](const std::string& url) {
    EndpointSettings settings;
    settings.base_url = url;
    settings.model = "oracle";
    settings.concurrency = 1;
    FileLedger ledger(path);
    Budget budget({}, {});
    SilentReporter silent;
    ChatClient client(settings, {}, budget, &ledger, silent);
    return client.ask(questions(9));
  };
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::array<char, 64> url{};
    if (::read(url_pipe[0], url.data(), url.size() - 1) > 0) run(url.data());
    ::_exit(0);
  }
  Oracle oracle;
  std::atomic<int> n_seen = 0;
  oracle.before_each = [&](const auto&) {
    if (++n_seen == 5) ::kill(child, SIGKILL);
  };
  // The fifth request is never answered, so the endpoint does not charge for it.
  const Oracle::Misdeed well = [&](const auto& request, auto& response) {
    oracle.answer(request, response);
  };
  oracle.misbehave({well, well, well, well, Oracle::hang_up()});
  const std::string url = oracle.url();
  ASSERT_EQ(::write(url_pipe[1], url.data(), url.size()), static_cast<ssize_t>(url.size()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the run ended before it was killed";

  const auto results = run(url);
  for (const ChatResult& result : results) EXPECT_EQ(result.status, AnswerStatus::ok);
  EXPECT_EQ(oracle.n_answered(), 9) << "each of the 9 questions is paid for once";
  EXPECT_EQ(FileLedger(path).entries.size(), 9U);
  ::close(url_pipe[0]);
  ::close(url_pipe[1]);
  fs::remove(path);
}

}  // namespace
}  // namespace safesail
