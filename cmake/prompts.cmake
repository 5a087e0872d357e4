# The files of prompts/ become a source of the room interpret: the program needs none of them at run time.
file(GLOB prompt_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/prompts/*.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${prompt_files})

set(entries "")
foreach(file IN LISTS prompt_files)
  cmake_path(GET file FILENAME name)
  string(REGEX REPLACE "\\.txt$" "" name "${name}")
  file(READ ${file} text)
  string(APPEND entries "    {\"${name}\", R\"~prompt~(${text})~prompt~\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/prompts.cc @ONLY CONTENT [=[
// Generated from prompts/ by cmake/prompts.cmake.
#include <array>

#include "interpret/prompt.h"

namespace safesail {

std::span<const PromptFile> prompt_files() {
  static constexpr auto kFiles = std::to_array<PromptFile>({
@entries@  });
  return kFiles;
}

}  // namespace safesail
]=])
target_sources(safesail_interpret PRIVATE ${CMAKE_BINARY_DIR}/generated/prompts.cc)
