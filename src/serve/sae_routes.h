// The SAEs that a run has and an atlas knows, over HTTP: /api/v1/saes.
#pragma once

#include <optional>

#include "base/file.h"
#include "serve/atlas_pool.h"
#include "serve/http_server.h"

namespace safesail {

/// `pool` outlives the server and may be null.
void mount_sae_routes(HttpServer& server, AtlasPool* pool, const std::optional<fs::path>& run);

}  // namespace safesail
