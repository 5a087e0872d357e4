// The form that a request asks its answer to have, in OpenAI's words or in vLLM's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "formats/json.h"
#include "text/constraint.h"

namespace safesail {

struct ConstraintRequest {
  ConstraintSource source;
  std::string field;  ///< that holds it: "response_format.json_schema.schema"
};

/// `text` is what `body` was parsed from. A FieldError where it asks for a form that there is none
/// of, or for two; whether the form can be held is not known yet.
std::optional<ConstraintRequest> read_constraint(const JsonObject& body, std::string_view text);

}  // namespace safesail
