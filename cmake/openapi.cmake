# src/serve/api.openapi.json becomes a source of the room serve: the server answers with it.
set(description ${CMAKE_SOURCE_DIR}/src/serve/api.openapi.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${description})
file(READ ${description} openapi)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/openapi.cc @ONLY CONTENT [=[
// Generated from src/serve/api.openapi.json by cmake/openapi.cmake.
#include "serve/openapi.h"

namespace safesail {

std::string_view openapi_text() {
  return R"~openapi~(@openapi@)~openapi~";
}

}  // namespace safesail
]=])
target_sources(safesail_serve PRIVATE ${CMAKE_BINARY_DIR}/generated/openapi.cc)
