#include "serve/feature_request.h"

#include <limits>

#include "base/error.h"
#include "serve/refusal.h"

namespace safesail {
namespace {

constexpr std::int64_t kMaxLimit = 500;
constexpr std::size_t kMaxDomains = 32;
constexpr std::int64_t kMaxOffset = 1'000'000'000;

FeatureQuery filters_of(const QueryParameters& parameters) {
  FeatureQuery query;
  query.text = parameters.text("text");
  query.domains = parameters.texts("domains", kMaxDomains);
  query.subclass = parameters.text("subclass");
  query.sae = parameters.text("sae");
  query.site = parameters.text("site");
  if (const auto layer = parameters.integer("layer", 0, std::numeric_limits<std::int32_t>::max()))
    query.layer = static_cast<std::int32_t>(*layer);
  query.min_score = parameters.number("min_score");
  query.max_score = parameters.number("max_score");
  query.min_density = parameters.number("min_density");
  query.max_density = parameters.number("max_density");
  query.explained = parameters.flag("explained");
  query.sufficient = parameters.flag("sufficient");
  query.ids = parameters.integers("ids", kMaxLimit);
  query.language = parameters.text("language");
  return query;
}

FeatureOrder order_of(const std::string& text) {
  try {
    return parse_feature_order(text);
  } catch (const Error& error) {
    throw Refusal(400, "bad_request", "parameter order: " + error.problem(), error.remedy());
  }
}

}  // namespace

FeatureQuery parse_feature_filters(const QueryParameters::Params& params) {
  return filters_of(QueryParameters(
      params, {"text", "domains", "subclass", "sae", "site", "layer", "min_score", "max_score",
               "min_density", "max_density", "explained", "sufficient", "ids", "language"}));
}

FeatureQuery parse_feature_request(const QueryParameters::Params& params) {
  const QueryParameters parameters(
      params, {"text", "domains", "subclass", "sae", "site", "layer", "min_score", "max_score",
               "min_density", "max_density", "explained", "sufficient", "ids", "language", "order",
               "ascending", "offset", "limit"});
  FeatureQuery query = filters_of(parameters);
  if (const std::string order = parameters.text("order"); !order.empty())
    query.order = order_of(order);
  query.ascending = parameters.flag("ascending").value_or(false);
  query.offset = parameters.integer("offset", 0, kMaxOffset).value_or(query.offset);
  query.limit = parameters.integer("limit", 1, kMaxLimit).value_or(query.limit);
  return query;
}

}  // namespace safesail
