// The local engine as an OpenAI-compatible endpoint: POST /v1/chat/completions (whole or streamed,
// with log probabilities) and GET /v1/models, so that any tool that speaks to such endpoints, our
// own explainer and simulator among them, can use the loaded model.
//
// Several completions are answered at once, a token each a pass of the model; more wait. Faults
// become {"error": {...}} as clients expect; prompts and keys are never logged. On a loopback
// address only pages and programs of this machine are answered: a web page that a browser shows
// cannot ask (no CORS, JSON only, Host checked).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/report.h"
#include "interpret/endpoint.h"
#include "model/text_model.h"

namespace safesail {

struct OpenAiServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;                      ///< 0: any that is free
  std::string model_name = "safesail";  ///< what requests must call the model
  std::size_t max_active = 8;           ///< completions answered at once
  ApiKey key;                           ///< requests must bring it; empty: none
  std::uint64_t max_body_bytes = std::uint64_t{4} << 20;
  /// For what prompts have in common with earlier ones; 0: nothing is kept; without one an eighth
  /// of the memory that is there.
  std::optional<std::uint64_t> prefix_bytes;
};

class OpenAiServer {
 public:
  /// Takes the port: an environment error when it is not free. An input error for a model without
  /// a chat template. `model` and `reporter` outlive the server.
  OpenAiServer(const TextModel& model, const OpenAiServerOptions& options, Reporter& reporter);
  ~OpenAiServer();

  int port() const;
  /// Serves until `stop`; completions under way then end with the token under way.
  void run(std::stop_token stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
