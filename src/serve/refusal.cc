#include "serve/refusal.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/field_error.h"
#include "formats/json.h"

namespace safesail {

std::optional<Refusal> refusal_for(const std::exception& fault) {
  if (const auto* refusal = dynamic_cast<const Refusal*>(&fault)) return *refusal;
  const auto* error = dynamic_cast<const Error*>(&fault);
  if (error == nullptr) return std::nullopt;
  if (error->fault() != Fault::input)
    return Refusal(500, "internal", error->problem(), error->remedy());
  Refusal refusal(400, "bad_request", error->where() + ": " + error->problem(), error->remedy());
  if (const auto* of_field = dynamic_cast<const FieldError*>(error))
    refusal.field = of_field->field();
  return refusal;
}

Refusal internal_fault() {
  return {500, "internal", "internal fault", "see whether it happens again"};
}

std::string code_of_status(int status) {
  switch (status) {
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 404:
      return "not_found";
    case 413:
      return "too_large";
    case 415:
      return "unsupported_media_type";
    case 503:
      return "busy";
    default:
      return status < 500 ? "bad_request" : "internal";
  }
}

std::string error_json(const Refusal& refusal) {
  return dump_json(nlohmann::json{
      {"error",
       {{"code", refusal.code}, {"message", refusal.message}, {"remedy", refusal.remedy}}}});
}

}  // namespace safesail
