#include "serve/sae_routes.h"

#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "formats/json.h"
#include "run/run_report.h"
#include "serve/http_answer.h"
#include "serve/query_parameters.h"

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
          {"n_in_atlas", n_in_atlas},
          {"traced", false}};
}

Json json_of(const KnownSae& sae, const std::string& model) {
  const SaeSpec& spec = sae.sae().spec();
  return {{"name", sae.name()},
          {"model", model},
          {"site", to_string(sae.site())},
          {"layer", sae.site().layer},
          {"architecture", spec.architecture},
          {"n_features", spec.n_features},
          {"k", spec.k},
          {"n_in_atlas", 0}};
}

/// By name: those of the run, and in their place those of the atlas, which knows more. "traced" are
/// those that the model is read with.
Json saes_json(AtlasPool* pool, const std::optional<fs::path>& run, const Subject* subject) {
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
                                 {"n_in_atlas", 0},
                                 {"traced", false}};
  }
  if (pool != nullptr) {
    const AtlasPool::Loan atlas = pool->lend();
    std::map<std::string, std::int64_t> n_features;
    for (const Count& count : atlas->counts().saes) n_features[count.name] += count.n;
    for (const SaeRow& sae : atlas->saes()) by_name[sae.name] = json_of(sae, n_features[sae.name]);
  }
  if (subject != nullptr)
    for (const KnownSae& sae : subject->saes) {
      const auto found = by_name.try_emplace(sae.name(), json_of(sae, subject->name)).first;
      found->second["traced"] = true;
    }
  Json saes = Json::array();
  for (auto& [name, sae] : by_name) saes.push_back(std::move(sae));
  return {{"saes", std::move(saes)}};
}

}  // namespace

void mount_sae_routes(HttpServer& server, AtlasPool* pool, const std::optional<fs::path>& run,
                      const Subject* subject) {
  // Another server at this address may have read the same files with another model, or none.
  std::string names;
  if (subject != nullptr) {
    names = subject->name;
    for (const KnownSae& sae : subject->saes) names += "\n" + sae.name();
  }
  const std::string traced = hash_hex(names);
  server.get("/api/v1/saes", [pool, run, subject, traced, kept = std::make_shared<KeptJson>()](
                                 const auto& request, auto& response) {
    const QueryParameters none(request.params, {});
    const std::string version = (pool == nullptr ? std::string() : pool->version()) + "." +
                                (run ? run_version(*run) : std::string()) + "." + traced;
    kept->answer(request, response, version, [&] {
      try {
        return saes_json(pool, run, subject);
      } catch (const Error& error) {
        throw Refusal(500, "internal", error.problem(), error.remedy());
      }
    });
  });
}

}  // namespace safesail
