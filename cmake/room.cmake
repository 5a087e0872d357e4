# One CMake target a room. `safesail_room(name [HOT] [ATEN] DEPS ...)` makes, from src/<name>/**:
#   safesail_<name>   a static library of every *.cc that is not a test
#   <name>_test       one GoogleTest program of every *_test.cc, known to ctest test by test
# HOT rooms have inner loops over numbers: they are optimised for speed, the others also for a short build.
# ATEN rooms are HOT, and may use at::Tensor inside their sources; they share one precompiled ATen header.
include(GoogleTest)

function(safesail_room name)
  cmake_parse_arguments(ROOM "ATEN;HOT" "" "DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  if(NOT sources)
    add_library(safesail_${name} INTERFACE)
    target_link_libraries(safesail_${name} INTERFACE ${ROOM_DEPS})
    return()
  endif()
  add_library(safesail_${name} STATIC ${sources})
  target_include_directories(safesail_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(safesail_${name} PUBLIC ${ROOM_DEPS} PRIVATE safesail_warnings)
  if(ROOM_ATEN OR ROOM_HOT)
    target_compile_options(safesail_${name} PRIVATE $<$<CONFIG:Release>:-O3>)
  endif()
  if(ROOM_ATEN)
    target_link_libraries(safesail_${name} PUBLIC safesail_torch)
    target_precompile_headers(safesail_${name} REUSE_FROM safesail_aten_pch)
  endif()

  if(tests AND NOT SAFESAIL_FUZZ)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE safesail_${name} safesail_warnings GTest::gmock_main)
    if(ROOM_ATEN)
      target_precompile_headers(${name}_test REUSE_FROM safesail_aten_pch)
    endif()
    target_compile_definitions(${name}_test PRIVATE SAFESAIL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS ${name} TIMEOUT ${SAFESAIL_TEST_SECONDS})
  endif()
endfunction()
