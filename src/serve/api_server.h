// The server of the page and of the HTTP API (api.openapi.json): a run, an atlas, and what is made
// of them, at one address.
//
// Reads only. It owns the connections to the atlas, the page's files, and the engine that the
// visitors of a model share.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>

#include "base/file.h"
#include "base/report.h"
#include "diagnose/engine.h"
#include "serve/http_server.h"

namespace safesail {

struct ApiServerOptions {
  HttpOptions http;
  std::optional<fs::path> run;    ///< its folder
  std::optional<fs::path> atlas;  ///< a file, or the folder of a run
  std::optional<fs::path> page;   ///< the folder that the page was built into
  EngineLimits engine;
};

class ApiServer {
 public:
  /// Takes the port. `subject`, null where there is no model to ask, and `reporter` outlive the
  /// server. What the subject knows of its features is read again when the atlas has changed.
  ApiServer(const ApiServerOptions& options, Subject* subject, Reporter& reporter);
  ~ApiServer();

  const HttpServer& http() const;
  /// Serves until `stop`.
  void run(std::stop_token stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
