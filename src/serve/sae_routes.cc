#include "serve/sae_routes.h"

#include <map>

#include "base/error.h"
#include "formats/json.h"
#include "serve/http_answer.h"
#include "serve/query_parameters.h"
#include "serve/run_report.h"

namespace safesail {
namespace {

Json json_of(const SaeRow& sae, std::int64_t n_in_atlas) {
  const Json details = Json::parse(sae.details, nullptr, /*allow_exceptions=*/false);
  const bool has_k = details.is_object() && details.contains("k") && details["k"].is_number();
  return {{"name", sae.name},
          {"model", sae.model},
          {"site", sae.site},
          {"layer", sae.layer},
          {"architecture", sae.architecture},
          {"n_features", sae.n_features},
          {"k", has_k ? details["k"] : Json()},
          {"n_in_atlas", n_in_atlas}};
}

/// By name: those of the run, and in their place those of the atlas, which knows more.
Json saes_json(AtlasPool* pool, const std::optional<fs::path>& run) {
  std::map<std::string, Json> by_name;
  if (run) {
    const Json report = run_report(*run);
    for (const Json& cell : report.at("cells"))
      by_name[cell.at("sae")] = {{"name", cell.at("sae")},
                                 {"model", nullptr},
                                 {"site", cell.at("site")},
                                 {"layer", cell.at("layer")},
                                 {"architecture", cell.at("architecture")},
                                 {"n_features", cell.at("n_features")},
                                 {"k", cell.at("k")},
                                 {"n_in_atlas", 0}};
  }
  if (pool != nullptr) {
    const AtlasPool::Loan atlas = pool->lend();
    std::map<std::string, std::int64_t> n_features;
    for (const Count& count : atlas->counts().saes) n_features[count.name] += count.n;
    for (const SaeRow& sae : atlas->saes()) by_name[sae.name] = json_of(sae, n_features[sae.name]);
  }
  Json saes = Json::array();
  for (auto& [name, sae] : by_name) saes.push_back(std::move(sae));
  return {{"saes", std::move(saes)}};
}

}  // namespace

void mount_sae_routes(HttpServer& server, AtlasPool* pool, const std::optional<fs::path>& run) {
  server.get("/api/v1/saes",
             [pool, run, kept = std::make_shared<KeptJson>()](const auto& request, auto& response) {
               const QueryParameters none(request.params, {});
               const std::string version = (pool == nullptr ? std::string() : pool->version()) +
                                           "." + (run ? run_version(*run) : std::string());
               kept->answer(request, response, version, [&] {
                 try {
                   return saes_json(pool, run);
                 } catch (const Error& error) {
                   throw Refusal(500, "internal", error.problem(), error.remedy());
                 }
               });
             });
}

}  // namespace safesail
