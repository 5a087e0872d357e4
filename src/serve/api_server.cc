#include "serve/api_server.h"

#include <algorithm>
#include <thread>

#include "base/version.h"
#include "serve/atlas_pool.h"
#include "serve/atlas_routes.h"
#include "serve/http_answer.h"
#include "serve/query_parameters.h"
#include "serve/run_routes.h"
#include "serve/sae_routes.h"
#include "serve/static_files.h"

namespace safesail {
namespace {

/// As many as can be at work at once; each has the atlas's columns in memory.
std::size_t n_atlas_connections() {
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 2, 8);
}

/// The page asks for the token; it must come without one.
HttpOptions http_options(const ApiServerOptions& options) {
  HttpOptions http = options.http;
  http.guarded = "/api/";
  return http;
}

}  // namespace

struct ApiServer::Impl {
  Impl(const ApiServerOptions& options_, Reporter& reporter)
      : options(options_), server(http_options(options_), reporter) {
    if (options.atlas) pool.emplace(*options.atlas, n_atlas_connections());
    if (options.page) files.emplace(*options.page);
    mount();
  }

  void mount();

  const ApiServerOptions options;
  std::optional<AtlasPool> pool;
  std::optional<StaticFiles> files;
  HttpServer server;  // ends before what its routes use
};

void ApiServer::Impl::mount() {
  AtlasPool* const atlas = pool ? &*pool : nullptr;
  server.get("/api/v1/health", [this](const auto& request, auto& response) {
    const QueryParameters none(request.params, {});
    response.set_header("Cache-Control", "no-store");
    send_json(response, {{"status", "ok"},
                         {"version", kVersion},
                         {"model", nullptr},
                         {"n_saes", 0},
                         {"atlas", pool.has_value()},
                         {"run", options.run.has_value()},
                         {"queue", {{"waiting", 0}, {"active", 0}, {"capacity", 0}}}});
  });
  server.get("/api/v1/models", [](const auto& request, auto& response) {
    const QueryParameters none(request.params, {});
    send_json(response, {{"models", nlohmann::json::array()}});
  });
  mount_sae_routes(server, atlas, options.run);
  mount_atlas_routes(server, atlas);
  mount_run_routes(server, options.run);
  files ? files->mount(server) : mount_no_page(server);
}

ApiServer::ApiServer(const ApiServerOptions& options, Reporter& reporter)
    : impl_(std::make_unique<Impl>(options, reporter)) {}

ApiServer::~ApiServer() = default;

const HttpServer& ApiServer::http() const {
  return impl_->server;
}

void ApiServer::run(std::stop_token stop) {
  impl_->server.run(stop);
}

}  // namespace safesail
