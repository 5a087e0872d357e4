// An endpoint for tests: a small HTTP server that explains and simulates honestly, from what stands
// in the prompt alone, and misbehaves where it is told to.
//
// It "understands" explanations of the form "fires at: bomb, grenade": a text fires where it holds
// one of those words. Asked to explain, it names the words that are marked in the excerpts. So a
// true explanation gives the truth back, a wrong one something else.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <fmt/format.h>
#include <functional>
#include <httplib.h>
#include <mutex>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "formats/json.h"

namespace safesail {

class OracleEndpoint {
 public:
  using Misdeed = std::function<void(const httplib::Request&, httplib::Response&)>;

  OracleEndpoint() {
    server_.new_task_queue = [] { return new httplib::ThreadPool(32); };
    server_.Post("/v1/chat/completions", [this](const auto& request, auto& response) {
      Misdeed misdeed;
      {
        const std::scoped_lock lock(mutex_);
        ++n_requests_;
        bodies_.push_back(request.body);
        arrivals_.push_back(std::chrono::steady_clock::now());
        another_.notify_all();
        if (!script_.empty()) {
          misdeed = script_.front();
          script_.pop_front();
        }
      }
      if (before_each) before_each(request);
      if (misdeed)
        misdeed(request, response);
      else
        answer(request, response);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~OracleEndpoint() {
    {
      const std::scoped_lock lock(mutex_);
      ending_ = true;
      another_.notify_all();
    }
    server_.stop();
    thread_.join();
  }

  std::string url() const { return fmt::format("http://127.0.0.1:{}/v1", port_); }

  /// The next requests meet these, one each, before the server behaves again.
  void misbehave(std::vector<Misdeed> misdeeds) {
    const std::scoped_lock lock(mutex_);
    script_.insert(script_.end(), misdeeds.begin(), misdeeds.end());
  }
  /// Called with every request before it is answered; set before the first.
  std::function<void(const httplib::Request&)> before_each;

  int n_requests() const { return n_requests_; }
  int n_answered() const { return n_answered_; }
  std::vector<std::string> bodies() const {
    const std::scoped_lock lock(mutex_);
    return bodies_;
  }
  std::vector<std::chrono::steady_clock::time_point> arrivals() const {
    const std::scoped_lock lock(mutex_);
    return arrivals_;
  }

  void answer(const httplib::Request& request, httplib::Response& response) {
    const Json body = Json::parse(request.body);
    const auto& messages = body.at("messages");
    const std::string system = messages.front().at("content"), user = messages.back().at("content");
    const std::string content = system.starts_with("You explain")     ? explain(user)
                                : system.starts_with("You translate") ? user
                                : system.starts_with("You file")      ? tag(user)
                                                                      : simulate(user);
    ++n_answered_;
    say(response, content, request.body.size() / 4);
  }

  static void say(httplib::Response& response, const std::string& content,
                  std::uint64_t n_prompt = 100) {
    response.set_content(completion({{"role", "assistant"}, {"content", content}}, n_prompt).dump(),
                         "application/json");
  }
  static Json completion(const Json& message, std::uint64_t n_prompt = 100) {
    return {
        {"object", "chat.completion"},
        {"choices", Json::array({{{"index", 0}, {"message", message}, {"finish_reason", "stop"}}})},
        {"usage",
         {{"prompt_tokens", n_prompt},
          {"completion_tokens", 20},
          {"total_tokens", n_prompt + 20}}}};
  }

  // --- Misdeeds.

  static Misdeed status(int code, const std::string& body = R"({"error": {"message": "no"}})",
                        const std::string& retry_after = "") {
    return [=](const auto&, auto& response) {
      response.status = code;
      if (!retry_after.empty()) response.set_header("Retry-After", retry_after);
      response.set_content(body, "application/json");
    };
  }
  static Misdeed text(const std::string& content) {
    return [=](const auto&, auto& response) { say(response, content); };
  }
  static Misdeed body(const std::string& bytes) {
    return [=](const auto&, auto& response) { response.set_content(bytes, "application/json"); };
  }
  static Misdeed refusal() {
    return [](const auto&, auto& response) {
      const Json message{{"role", "assistant"}, {"content", nullptr}, {"refusal", "I will not."}};
      response.set_content(completion(message).dump(), "application/json");
    };
  }
  /// Says nothing until another request comes, or the end.
  Misdeed silence() {
    return [this](const auto&, auto& response) {
      std::unique_lock lock(mutex_);
      const auto n_arrived = arrivals_.size();
      another_.wait(lock, [&] { return arrivals_.size() > n_arrived || ending_; });
      say(response, "late");
    };
  }
  static Misdeed hang_up() {
    return [](const auto&, auto& response) {
      response.set_content_provider(1000, "application/json",
                                    [](auto, auto, auto&) { return false; });
    };
  }

 private:
  // Made before there are threads: libstdc++ fills a table of the locale when it reads a pattern.
  static inline const std::regex kWords{"fires at: ([a-z, ]+)"};
  static inline const std::regex kMark{R"(<<([a-z]+)\|\d+>>)"};
  static inline const std::regex kHead{R"(text (\d+), (\d+) (segments|tokens))"};

  /// The words of "fires at: bomb, grenade".
  static std::set<std::string> words_of(const std::string& explanation) {
    std::smatch found;
    std::set<std::string> words;
    if (!std::regex_search(explanation, found, kWords)) return words;
    std::istringstream list(found[1]);
    for (std::string word; list >> word;) words.insert(word.substr(0, word.find(',')));
    return words;
  }
  static bool holds(const std::set<std::string>& words, const std::string& text) {
    return std::any_of(words.begin(), words.end(),
                       [&](const auto& word) { return text.find(word) != text.npos; });
  }

  static std::string explain(const std::string& user) {
    std::set<std::string> words;
    for (std::sregex_iterator at(user.begin(), user.end(), kMark), end; at != end; ++at)
      words.insert((*at)[1]);
    std::string text = "fires at: ";
    for (const std::string& word : words) text += (text.back() == ' ' ? "" : ", ") + word;
    return Json{{"short", text}, {"long", "As said."}}.dump();
  }

  static std::string tag(const std::string& user) {
    Json tags = Json::array();
    if (user.find("bomb") != user.npos)
      tags.push_back({{"domain", "terror"}, {"subclass", "weapons"}, {"evidence", "bomb"}});
    return Json{{"tags", tags}}.dump();
  }

  static std::string simulate(const std::string& user) {
    std::istringstream lines(user);
    std::string line;
    std::getline(lines, line);  // "explanation"
    std::getline(lines, line);
    const std::set<std::string> words = words_of(line);
    Json answers = Json::array();
    while (std::getline(lines, line)) {
      std::smatch found;
      Json values = Json::array();
      int id = 0;
      if (std::regex_match(line, found, kHead)) {
        id = std::stoi(found[1]);
        const int n_units = std::stoi(found[2]);
        const bool segments = found[3] == "segments";
        for (int i = 0; segments && i < n_units; ++i) {
          std::getline(lines, line);
          values.push_back(holds(words, line) ? 1 : 0);
        }
        if (!segments) {
          std::getline(lines, line);
          for (const auto& token : Json::parse(line)) values.push_back(holds(words, token) ? 9 : 0);
        }
      } else if (line.starts_with("{\"id\"")) {
        const Json question = Json::parse(line);
        id = question.at("id");
        std::string judged = question.at("text");
        if (const auto open = judged.find("<<"); open != judged.npos)
          judged = judged.substr(open, judged.find(">>") - open);
        values.push_back(holds(words, judged) ? 1 : 0);
      } else {
        continue;
      }
      answers.push_back({{"id", id}, {"v", values}});
    }
    return Json{{"answers", answers}}.dump();
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::atomic<int> n_requests_ = 0, n_answered_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable another_;
  // Protected by mutex_:
  bool ending_ = false;
  std::deque<Misdeed> script_;
  std::vector<std::string> bodies_;
  std::vector<std::chrono::steady_clock::time_point> arrivals_;
};

}  // namespace safesail
