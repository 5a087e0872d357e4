#include "serve/refusal.h"

#include <nlohmann/json.hpp>

#include "formats/json.h"

namespace safesail {

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
