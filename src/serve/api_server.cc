#include "serve/api_server.h"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/version.h"
#include "serve/atlas_pool.h"
#include "serve/atlas_routes.h"
#include "serve/http_answer.h"
#include "serve/openapi.h"
#include "serve/query_parameters.h"
#include "serve/run_routes.h"
#include "serve/sae_routes.h"
#include "serve/static_files.h"
#include "serve/trace_routes.h"

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
  Impl(const ApiServerOptions& options_, Subject* subject_, Reporter& reporter_)
      : options(options_),
        subject(subject_),
        reporter(reporter_),
        server(http_options(options_), reporter_) {
    if (subject != nullptr) engine.emplace(*subject, options.engine);
    if (options.atlas) pool.emplace(*options.atlas, n_atlas_connections());
    if (options.page) files.emplace(*options.page);
    mount();
  }

  void mount();
  nlohmann::json health() const;
  void refresh_subject();

  const ApiServerOptions options;
  Subject* const subject;
  Reporter& reporter;
  std::mutex refreshing;
  std::string known_version;  ///< of the atlas that the subject has read; protected by refreshing
  std::optional<Engine> engine;
  std::optional<AtlasPool> pool;
  std::optional<StaticFiles> files;
  HttpServer server;  // ends before what its routes use
};

nlohmann::json ApiServer::Impl::health() const {
  const Engine::Load load = engine ? engine->load() : Engine::Load{};
  return {{"status", "ok"},
          {"version", kVersion},
          {"model", subject == nullptr ? nlohmann::json() : nlohmann::json(subject->name)},
          {"n_saes", subject == nullptr ? 0 : subject->saes.size()},
          {"atlas", pool.has_value()},
          {"run", options.run.has_value()},
          {"queue",
           {{"waiting", load.n_waiting},
            {"active", load.n_active},
            {"capacity", engine ? options.engine.max_waiting : 0}}}};
}

void ApiServer::Impl::refresh_subject() {
  if (!pool) return;
  const std::string version = pool->version();
  const std::scoped_lock lock(refreshing);
  if (version == known_version) return;
  known_version = version;
  try {
    const AtlasPool::Loan atlas = pool->lend();
    for (KnownSae& sae : subject->saes) sae.refresh(*atlas);
  } catch (const Error& error) {
    reporter.warn(fmt::format("what is known of features stays as it was: {}", error.what()));
  }
}

void ApiServer::Impl::mount() {
  AtlasPool* const atlas = pool ? &*pool : nullptr;
  server.get("/api/v1/health", [this](const auto& request, auto& response) {
    const QueryParameters none(request.params, {});
    response.set_header("Cache-Control", "no-store");
    send_json(response, health());
  });
  server.get("/api/v1/openapi.json",
             [kept = KeptContent(std::string(openapi_text()), "application/json")](
                 const auto& request, auto& response) {
               const QueryParameters none(request.params, {});
               response.set_header("Cache-Control", "no-cache");
               if (!has_it(request, response, kVersion)) kept.send(request, response);
             });
  engine ? mount_trace_routes(server, *subject, *engine, [this] { refresh_subject(); })
         : mount_no_model(server);
  mount_sae_routes(server, atlas, options.run, subject);
  mount_atlas_routes(server, atlas);
  mount_run_routes(server, options.run);
  files ? files->mount(server) : mount_no_page(server);
}

ApiServer::ApiServer(const ApiServerOptions& options, Subject* subject, Reporter& reporter)
    : impl_(std::make_unique<Impl>(options, subject, reporter)) {}

ApiServer::~ApiServer() = default;

const HttpServer& ApiServer::http() const {
  return impl_->server;
}

void ApiServer::run(std::stop_token stop) {
  // Answers under way are waited for, so the engine has to end them.
  const std::stop_callback end_chats(stop, [this] {
    if (impl_->engine) impl_->engine->end();
  });
  impl_->server.run(stop);
}

}  // namespace safesail
