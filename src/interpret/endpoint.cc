#include "interpret/endpoint.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <random>
#include <utility>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxKeyBytes = 16 << 10;
constexpr std::size_t kMinSecretBytes = 8;
constexpr int kMaxThinkingTokens = 1'000'000;
constexpr double kMaxThinkingSeconds = 86'400;

}  // namespace

const std::string& address_of(const EndpointSettings& settings) {
  return settings.address.empty() ? settings.base_url : settings.address;
}

void check_endpoint(const EndpointSettings& settings) {
  const std::string& url = address_of(settings);
  if (!url.starts_with("http://") && !url.starts_with("https://"))
    bad_input("endpoint",
              fmt::format("expected a URL with http:// or https://, got {}", printable(url)),
              "give the base URL, as in https://api.openai.com/v1");
  // The URL itself is not shown: what stands there may be a secret.
  if (url.find_first_of("@?# \t\r\n") != url.npos)
    bad_input("endpoint", "expected a URL without user, query, fragment or blanks",
              "give the key with --key-env or --key-file");
  if (settings.model.empty())
    bad_input("endpoint", "expected the name of a model, got none", "give --llm");
  if (settings.concurrency < 1 || settings.concurrency > 256)
    bad_input("endpoint",
              fmt::format("expected a concurrency of 1..256, got {}", settings.concurrency),
              "correct the concurrency");
  if (!(settings.temperature >= 0 && settings.temperature <= 2))
    bad_input("endpoint",
              fmt::format("expected a temperature of 0..2, got {}", settings.temperature),
              "correct the temperature");
  if (settings.thinking_tokens < 0 || settings.thinking_tokens > kMaxThinkingTokens)
    bad_input("endpoint",
              fmt::format("expected 0..{} tokens for thinking, got {}", kMaxThinkingTokens,
                          settings.thinking_tokens),
              "correct --thinking-tokens");
  if (!(settings.thinking_seconds >= 0 && settings.thinking_seconds <= kMaxThinkingSeconds))
    bad_input("endpoint",
              fmt::format("expected 0..{} seconds for thinking, got {}", kMaxThinkingSeconds,
                          settings.thinking_seconds),
              "correct --thinking-seconds");
  if (settings.timeout.count() < 1 || settings.max_attempts < 1 ||
      settings.first_pause.count() < 0 || settings.longest_pause < settings.first_pause)
    bad_input("endpoint", "expected a time-out, at least one attempt, and pauses of at least 0",
              "correct the settings of the endpoint");
}

bool is_private(std::string_view url) {
  constexpr std::string_view kPlain = "http://";
  if (!url.starts_with(kPlain)) return url.starts_with("https://");
  std::string_view host = url.substr(kPlain.size());
  host = host.substr(0, host.find('/'));
  if (host.starts_with("[::1]")) return host.size() == 5 || host[5] == ':';
  host = host.substr(0, host.find(':'));
  return host == "127.0.0.1" || host == "localhost";
}

ApiKey::ApiKey(std::string key, std::string_view where) : key_(std::move(key)) {
  const bool fits =
      std::all_of(key_.begin(), key_.end(), [](char c) { return c > ' ' && c < 127; });
  if (key_.empty() || !fits)
    bad_input(where,
              key_.empty() ? "expected a key, got none"
                           : "expected a key of printable ASCII on one line, got something else",
              "put the key there, and nothing else");
}

ApiKey ApiKey::from_environment(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  return {value == nullptr ? "" : value, fmt::format("environment variable {}", variable)};
}

ApiKey ApiKey::from_file(const fs::path& path) {
  std::string text = read_file(path, kMaxKeyBytes);
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return {std::move(text), path.string()};
}

ApiKey ApiKey::drawn() {
  std::random_device device;  // of the system: nobody can guess it
  std::string key;
  for (int i = 0; i < 8; ++i) key += fmt::format("{:08x}", device());
  return {std::move(key), "key"};
}

std::string ApiKey::authorization() const {
  return key_.empty() ? "" : "Authorization: Bearer " + key_;
}

std::string ApiKey::without_key(std::string text) const {
  if (key_.size() < kMinSecretBytes) return text;
  for (auto at = text.find(key_); at != text.npos; at = text.find(key_, at))
    text.replace(at, key_.size(), "[key]");
  return text;
}

}  // namespace safesail
