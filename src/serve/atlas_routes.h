// The neuron database over HTTP: /stats, /features, /features/{feature}, its prompts, /landscape,
// below /api/v1. What is in them: api.openapi.json.
#pragma once

#include "serve/atlas_pool.h"
#include "serve/http_server.h"

namespace safesail {

/// `pool` outlives the server; without one all of them answer 404.
void mount_atlas_routes(HttpServer& server, AtlasPool* pool);

}  // namespace safesail
