// The model over HTTP: POST /api/v1/trace (a text, token by token), /chat (an answer as it is made,
// server-sent events) and /compare (several prompts beside one another); GET /api/v1/models.
//
// Handlers run on the server's threads and wait for the engine. A full queue is a Refusal 503. Who
// closes the connection leaves the queue, or ends the answer under way.
#pragma once

#include <functional>

#include "diagnose/engine.h"
#include "serve/http_server.h"

namespace safesail {

/// Subject and engine outlive the server. `before_asking` is called before each request is read,
/// on any thread.
void mount_trace_routes(HttpServer& server, const Subject& subject, Engine& engine,
                        std::function<void()> before_asking);

/// The same paths where there is no model: no models, and 503 that says so.
void mount_no_model(HttpServer& server);

}  // namespace safesail
