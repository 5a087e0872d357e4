# What a source pays for its headers. Most of a build is parsing the same few of them, so they are compiled once:
#   plain   the standard library, fmt and JSON
#   test    these and GoogleTest
#   aten    these and ATen (six seconds a file), with the flags that ATen's headers take
# A source that names ATen itself gets the last, in whatever room it is; the others never see those headers.

set(SAFESAIL_PLAIN_HEADERS <algorithm> <array> <atomic> <chrono> <cmath> <condition_variable> <cstdint> <filesystem>
  <fmt/format.h> <functional> <map> <memory> <mutex> <nlohmann/json.hpp> <optional> <set> <span> <string>
  <string_view> <thread> <unordered_map> <utility> <variant> <vector>)

# safesail_pch(KIND libraries headers): the precompiled header, and a target to build it by.
function(safesail_pch kind libraries)
  add_library(safesail_${kind}_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
  target_link_libraries(safesail_${kind}_pch PRIVATE fmt::fmt nlohmann_json::nlohmann_json safesail_warnings ${libraries})
  target_precompile_headers(safesail_${kind}_pch PRIVATE ${SAFESAIL_PLAIN_HEADERS} ${ARGN})
endfunction()

# safesail_sources(TARGET [TESTS] [OPTIONS ...] LINK ... SOURCES ...): gives the target these sources, compiled with
# these options and what these libraries ask for. Tests know where the sources are, and the program once it is defined.
function(safesail_sources target)
  cmake_parse_arguments(OF "TESTS" "" "OPTIONS;LINK;SOURCES" ${ARGN})
  set(plain "")
  set(aten "")
  foreach(source IN LISTS OF_SOURCES)
    file(STRINGS ${source} names_aten REGEX "^#include <(ATen|c10)/" LIMIT_COUNT 1)
    if(names_aten)
      list(APPEND aten ${source})
    else()
      list(APPEND plain ${source})
    endif()
  endforeach()
  set(kind_of_plain plain)
  if(OF_TESTS)
    set(kind_of_plain test)
    # They are compiled once and run once.
    list(APPEND OF_OPTIONS $<$<CONFIG:Release>:-O1> "-DSAFESAIL_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"")
    if(TARGET safesail)
      list(APPEND OF_OPTIONS "-DSAFESAIL_PROGRAM=\"$<TARGET_FILE:safesail>\"")
    endif()
  endif()
  if(plain)
    safesail_compiled(${target} ${kind_of_plain} LINK ${OF_LINK} OPTIONS ${OF_OPTIONS} SOURCES ${plain})
  endif()
  if(aten)
    safesail_compiled(${target} aten LINK ${OF_LINK} safesail_aten OPTIONS ${OF_OPTIONS} SOURCES ${aten})
  endif()
endfunction()

function(safesail_compiled target kind)
  cmake_parse_arguments(OF "" "" "OPTIONS;LINK;SOURCES" ${ARGN})
  add_library(${target}_${kind} OBJECT ${OF_SOURCES})
  target_include_directories(${target}_${kind} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${target}_${kind} PRIVATE ${OF_LINK} safesail_warnings)
  target_compile_options(${target}_${kind} PRIVATE ${OF_OPTIONS})
  target_precompile_headers(${target}_${kind} REUSE_FROM safesail_${kind}_pch)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${kind}>)
endfunction()

# safesail_test(NAME LABEL label LINK libraries SOURCES ...): a GoogleTest program, known to ctest test by test.
include(GoogleTest)
function(safesail_test name)
  cmake_parse_arguments(OF "" "LABEL" "LINK;SOURCES" ${ARGN})
  add_executable(${name})
  target_link_libraries(${name} PRIVATE ${OF_LINK} GTest::gmock_main)
  safesail_sources(${name} TESTS LINK ${OF_LINK} GTest::gmock_main SOURCES ${OF_SOURCES})
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES LABELS ${OF_LABEL} TIMEOUT ${SAFESAIL_TEST_SECONDS})
endfunction()
