// What the tests of the language-model side share: a ledger in a file, a reporter that listens, and
// a fixture with an endpoint.
#pragma once

#include <chrono>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "interpret/chat_client.h"
#include "oracle_endpoint.h"
#include "workspace.h"

namespace safesail {

/// A line of JSON for each record, on disk when record() returns.
class FileLedger final : public Ledger {
 public:
  explicit FileLedger(fs::path path) : path_(std::move(path)) {
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) {
      const Json json = Json::parse(line);
      entries.push_back(json);
      if (json.contains("answer")) answers_[json.at("hash")] = json.at("answer");
    }
  }
  std::optional<std::string> find(const std::string& hash) override {
    const auto found = answers_.find(hash);
    return found == answers_.end() ? std::nullopt : std::optional(found->second);
  }
  void record(const LedgerEntry& entry, std::optional<std::string_view> answer) override {
    Json json{{"hash", entry.request_hash},   {"purpose", entry.purpose},
              {"feature", entry.feature},     {"endpoint", entry.endpoint},
              {"model", entry.model},         {"status", entry.status},
              {"money", entry.money},         {"n_requests", entry.n_requests},
              {"prompt", entry.usage.prompt}, {"completion", entry.usage.completion}};
    if (answer) answers_[entry.request_hash] = json["answer"] = std::string(*answer);
    std::ofstream(path_, std::ios::app) << json.dump() + "\n" << std::flush;
    entries.push_back(std::move(json));
  }

  std::vector<Json> entries;

 private:
  fs::path path_;
  std::map<std::string, std::string> answers_;
};

/// Keeps all that is said.
class ListeningReporter final : public Reporter {
 public:
  void progress(std::string_view stage, std::uint64_t done, std::uint64_t total, std::string_view,
                std::string_view detail) override {
    add(fmt::format("{} {}/{} {}", stage, done, total, detail));
  }
  void note(std::string_view text) override { add(text); }
  void warn(std::string_view text) override { add(text); }
  std::string heard() const {
    const std::scoped_lock lock(mutex_);
    return heard_;
  }

 private:
  void add(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    heard_.append(text).append("\n");
  }
  mutable std::mutex mutex_;
  std::string heard_;
};

/// One request at a time, pauses of a millisecond.
inline EndpointSettings settings_for(const OracleEndpoint& oracle) {
  EndpointSettings settings;
  settings.base_url = oracle.url();
  settings.model = "oracle";
  settings.concurrency = 1;
  settings.first_pause = settings.longest_pause = std::chrono::milliseconds(1);
  settings.max_attempts = 3;
  return settings;
}

class EndpointTest : public WorkspaceTest {
 protected:
  ChatClient client_for(const EndpointSettings& settings, Ledger* ledger = nullptr) {
    return ChatClient(settings, {}, budget, ledger, reporter);
  }
  std::string thrown_by(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  OracleEndpoint oracle;
  Budget budget{{}, {}};
  ListeningReporter reporter;
};

}  // namespace safesail
