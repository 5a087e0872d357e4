// Tests of what set-up installs (the demo's model, tokenizers) skip where it is missing, so that a
// checkout without it still passes. Where set-up has run a skip would hide a fault: with
// SAFESAIL_INSTALLED=1, as CI sets it, they fail.
#pragma once

#include <cstdlib>
#include <gtest/gtest.h>
#include <string_view>

#include "base/file.h"

namespace safesail {

inline bool must_be_installed() {
  const char* value = std::getenv("SAFESAIL_INSTALLED");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace safesail

/// In a test or SetUp(): ends it where `path`, which make setup brings, is not there.
#define SAFESAIL_NEED_INSTALLED(path)                                             \
  if (!::safesail::fs::exists(path)) {                                            \
    if (::safesail::must_be_installed())                                          \
      FAIL() << (path) << " is not here, and SAFESAIL_INSTALLED says that it is"; \
    GTEST_SKIP() << (path) << " is not here (make setup fetches it)";             \
  }                                                                               \
  static_assert(true, "takes a semicolon")
