#include "serve/run_routes.h"

#include <memory>

#include "base/error.h"
#include "run/run_report.h"
#include "serve/http_answer.h"
#include "serve/query_parameters.h"

namespace safesail {
namespace {

/// A damaged file is not the client's fault.
nlohmann::json report_of(const fs::path& run) {
  try {
    return run_report(run);
  } catch (const Error& error) {
    throw Refusal(500, "internal", error.problem(), error.remedy());
  }
}

}  // namespace

void mount_run_routes(HttpServer& server, const std::optional<fs::path>& run) {
  server.get("/api/v1/runs",
             [run, kept = std::make_shared<KeptJson>()](const auto& request, auto& response) {
               const QueryParameters none(request.params, {});
               if (!run)
                 throw Refusal(404, "not_found", "there is no run here", "serve one with --run");
               kept->answer(request, response, run_version(*run), [&] { return report_of(*run); });
             });
}

}  // namespace safesail
