// A run's grid, selection and curves over HTTP: /api/v1/runs.
#pragma once

#include <optional>

#include "base/file.h"
#include "serve/http_server.h"

namespace safesail {

/// Without a run it answers 404.
void mount_run_routes(HttpServer& server, const std::optional<fs::path>& run);

}  // namespace safesail
