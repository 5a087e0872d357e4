// The SAEs that a run has, an atlas knows and the model is read with, over HTTP: /api/v1/saes.
#pragma once

#include <optional>

#include "base/file.h"
#include "diagnose/subject.h"
#include "serve/atlas_pool.h"
#include "serve/http_server.h"

namespace safesail {

/// `pool` and `subject` outlive the server and may be null.
void mount_sae_routes(HttpServer& server, AtlasPool* pool, const std::optional<fs::path>& run,
                      const Subject* subject);

}  // namespace safesail
