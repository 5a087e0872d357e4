// An OpenAI-compatible endpoint: where it is, which of its models is asked, how patiently, and the
// key. Settings are plain data and may be written anywhere; the key is a class of its own that is
// never printed, logged or stored.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"

namespace safesail {

struct EndpointSettings {
  std::string base_url;  ///< "https://api.openai.com/v1", "http://127.0.0.1:8080/v1"
  /// Where base_url is reached, if it is a name of another kind: a server of this process, whose
  /// port is another at each start.
  std::string address;
  std::string model;  ///< as the endpoint calls it
  double temperature = 0;
  std::uint64_t seed = 0;
  /// Tokens that each answer may spend on thinking, beside those of the answer itself.
  int thinking_tokens = 0;
  /// Seconds that it may, beside the time-out; 0: none beside. An endpoint with answer_forms ends
  /// thinking that goes beyond either.
  double thinking_seconds = 0;
  /// Ask for the probabilities of the answers' tokens.
  bool logprobs = true;
  /// The endpoint takes "answer_form" and "thinking", as Safesail's own does: simulations are then
  /// read from one pass over the prompt instead of being written.
  bool answer_forms = false;

  int concurrency = 8;                         ///< requests in flight
  std::chrono::milliseconds timeout{120'000};  ///< of one attempt
  int max_attempts = 6;                        ///< of one request
  /// Pause before the second attempt; it doubles with each further one, up to `longest_pause`.
  std::chrono::milliseconds first_pause{1'000}, longest_pause{60'000};
  /// Retry-After is honoured up to here; an endpoint that asks for more ends the work.
  std::chrono::milliseconds longest_retry_after{600'000};
  /// After a stop the answers in flight, which are paid for, are waited for this long.
  std::chrono::milliseconds stop_grace{20'000};
  /// The work ends when so many requests in a row failed for good.
  int max_failures_in_a_row = 10;
};

/// Where requests go.
const std::string& address_of(const EndpointSettings& settings);

/// An input error unless the settings make sense. The URL may hold no user, key, query or fragment:
/// it is stored with each answer.
void check_endpoint(const EndpointSettings& settings);

/// Nobody on the way can read what is sent: https, or an address of this machine.
bool is_private(std::string_view url);

/// The secret that the endpoint wants, or none. Only authorization() gives it away.
class ApiKey {
 public:
  ApiKey() = default;
  /// An input error when the variable is unset or empty, or holds what cannot be a header.
  static ApiKey from_environment(const std::string& variable);
  /// The file's only line.
  static ApiKey from_file(const fs::path& path);
  /// One that nobody else knows.
  static ApiKey drawn();

  bool empty() const { return key_.empty(); }
  /// The whole header line.
  std::string authorization() const;
  /// `text` from outside with every copy of the key replaced by "[key]": endpoints echo it in
  /// errors. Keys of fewer than 8 bytes are placeholders for local servers, not secrets.
  std::string without_key(std::string text) const;

 private:
  ApiKey(std::string key, std::string_view where);
  std::string key_;
};

}  // namespace safesail
