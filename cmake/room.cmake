# One CMake target a room. `safesail_room(name [HOT] [ATEN] DEPS ...)` makes, from src/<name>/**:
#   safesail_<name>   a static library of every *.cc that is not a test
#   <name>_test       one GoogleTest program of every *_test.cc, known to ctest test by test
# HOT rooms have inner loops over numbers: they are optimised for speed, the others also for a short build.
# ATEN rooms are HOT, and stand on LibTorch; those of their sources that include ATen are compiled with it.
include(cmake/sources.cmake)

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
  set(torch "")
  set(speed "")
  if(ROOM_ATEN)
    set(torch safesail_torch)
  endif()
  if(ROOM_ATEN OR ROOM_HOT)
    set(speed $<$<CONFIG:Release>:-O3>)
  endif()
  add_library(safesail_${name} STATIC)
  target_include_directories(safesail_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(safesail_${name} PUBLIC ${ROOM_DEPS} ${torch})
  safesail_sources(safesail_${name} LINK ${ROOM_DEPS} OPTIONS ${speed} SOURCES ${sources})

  if(tests AND NOT (SAFESAIL_FUZZ AND ROOM_ATEN))
    safesail_test(${name}_test LABEL ${name} LINK safesail_${name} SOURCES ${tests})
  endif()
endfunction()
