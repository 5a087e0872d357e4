// Traces as JSON: as the server sends them (features named once, tokens refer to them by place),
// and as `safesail trace --json` prints them (each token with its features in full).
#pragma once

#include <string_view>

#include "diagnose/comparison.h"
#include "diagnose/trace.h"
#include "formats/json.h"

namespace safesail {

/// Unknown numbers are null.
Json json_of(const TraceFeature& feature);
Json json_of(const TokenFeature& feature);
/// `text` is the trace's. Where a token has part of a character, its text is in another one.
Json json_of(const TraceToken& token, std::string_view text);
Json json_of(const Trace& trace);
Json json_of(const Comparison& comparison);

/// {"tokens": [{"id", "text", "start", "end", "role", "features": [{"layer", "index", "activation",
/// "normalised", "score", "explanation"}]}]}; explanations in `language`, else in any.
Json json_in_full(const Trace& trace, std::string_view language);

}  // namespace safesail
