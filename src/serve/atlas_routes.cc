#include "serve/atlas_routes.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <memory>

#include "atlas/atlas_json.h"
#include "base/error.h"
#include "formats/json.h"
#include "interpret/prompt.h"
#include "serve/feature_request.h"
#include "serve/http_answer.h"

namespace safesail {
namespace {

constexpr const char* kListThem = "list them with /api/v1/features";

Refusal not_found(std::string message, std::string remedy) {
  return {404, "not_found", std::move(message), std::move(remedy)};
}

/// "317", or "mlp_out.15:1234" with the SAE's name where several read that site.
std::int64_t id_of(Atlas& atlas, const std::string& feature, const std::string& sae) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(feature.data(), feature.data() + feature.size(), id);
  if (error == std::errc() && end == feature.data() + feature.size()) {
    if (!atlas.has_feature(id))
      throw not_found(fmt::format("there is no feature {}", id), kListThem);
    return id;
  }
  const std::vector<NamedFeature> named = atlas.features_named(feature, sae);
  if (named.empty())
    throw not_found(fmt::format("there is no feature {}", printable(feature)), kListThem);
  if (named.size() > 1)
    throw Refusal(400, "bad_request",
                  fmt::format("several SAEs have a feature {}: {}, {}{}", printable(feature),
                              named[0].sae, named[1].sae, named.size() > 2 ? "..." : ""),
                  "name one of them with ?sae=");
  return named.front().id;
}

Json prompt_json(Atlas& atlas, std::int64_t feature, std::size_t place) {
  const FeatureEntry entry = atlas.entry(feature);
  if (place >= entry.explanations.size())
    throw not_found(fmt::format("the feature has {} explanations", entry.explanations.size()),
                    "count from 0");
  const std::string& hash = entry.explanations[place].explanation.key.prompt_hash;
  const auto files = prompt_files();
  const auto file = std::ranges::find_if(
      files, [&](const PromptFile& one) { return !hash.empty() && Prompt(one).hash() == hash; });
  if (file == files.end())
    throw not_found(hash.empty()
                        ? "this explanation was made without a prompt"
                        : "this version of Safesail has not the prompt of this explanation",
                    "see the explanation's prompt_hash");
  return {{"prompt_hash", hash}, {"name", file->name}, {"text", file->text}};
}

class AtlasRoutes {
 public:
  explicit AtlasRoutes(AtlasPool* pool) : pool_(pool) {}

  /// What `make` makes of a connection, unless the client has it.
  template <class Make>
  void answer(const httplib::Request& request, httplib::Response& response, const Make& make) {
    response.set_header("Cache-Control", "private, no-cache");
    if (has_it(request, response, pool().version())) return;
    send_json(response, on_loan(make));
  }

  void landscape(const httplib::Request& request, httplib::Response& response) {
    const QueryParameters none(request.params, {});
    landscape_.answer(request, response, pool().version(), [&] {
      return on_loan([](Atlas& atlas) { return json_of(atlas.landscape()); });
    });
  }

 private:
  AtlasPool& pool() const {
    if (pool_ == nullptr)
      throw not_found("there is no atlas here",
                      "serve a run that has one, or name it with --atlas");
    return *pool_;
  }

  /// The request is checked already: what the atlas minds is not the client's fault.
  template <class Make>
  Json on_loan(const Make& make) const {
    const AtlasPool::Loan atlas = pool().lend();
    try {
      return make(*atlas);
    } catch (const Error& error) {
      throw Refusal(500, "internal", error.problem(), error.remedy());
    }
  }

  AtlasPool* const pool_;
  KeptJson landscape_;
};

}  // namespace

void mount_atlas_routes(HttpServer& server, AtlasPool* pool) {
  const auto routes = std::make_shared<AtlasRoutes>(pool);
  server.get("/api/v1/stats", [=](const auto& request, auto& response) {
    const FeatureQuery query = parse_feature_filters(request.params);
    routes->answer(request, response, [&](Atlas& atlas) {
      const FeatureCounts counts = atlas.counts(query);
      Json json = json_of(counts, atlas.spending());
      json["languages"] = Json::array();
      for (const auto& [language, n] : counts.by_language) json["languages"].push_back(language);
      return json;
    });
  });
  server.get("/api/v1/features", [=](const auto& request, auto& response) {
    const FeatureQuery query = parse_feature_request(request.params);
    routes->answer(request, response,
                   [&](Atlas& atlas) { return json_of(atlas.list(query), query); });
  });
  server.get("/api/v1/features/{feature}", [=](const auto& request, auto& response) {
    const QueryParameters parameters(request.params, {"sae", "exemplars"});
    const bool exemplars = parameters.flag("exemplars").value_or(true);
    routes->answer(request, response, [&](Atlas& atlas) {
      const std::int64_t id = id_of(atlas, request.matches[1], parameters.text("sae"));
      return json_of(atlas.entry(id), atlas.neighbours(id), exemplars);
    });
  });
  server.get("/api/v1/features/{feature}/prompt", [=](const auto& request, auto& response) {
    const QueryParameters parameters(request.params, {"sae", "explanation"});
    const auto place = parameters.integer("explanation", 0, 1'000'000).value_or(0);
    routes->answer(request, response, [&](Atlas& atlas) {
      const std::int64_t id = id_of(atlas, request.matches[1], parameters.text("sae"));
      return prompt_json(atlas, id, static_cast<std::size_t>(place));
    });
  });
  server.get("/api/v1/landscape",
             [=](const auto& request, auto& response) { routes->landscape(request, response); });
}

}  // namespace safesail
