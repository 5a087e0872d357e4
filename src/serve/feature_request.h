// A request for features: the parameters of /features and /stats as a question to the atlas.
#pragma once

#include "atlas/feature_query.h"
#include "serve/query_parameters.h"

namespace safesail {

/// Filters, order and page. A Refusal for what is none or makes no sense.
FeatureQuery parse_feature_request(const QueryParameters::Params& params);

/// Only the filters.
FeatureQuery parse_feature_filters(const QueryParameters::Params& params);

}  // namespace safesail
