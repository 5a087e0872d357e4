// Numbers of JSON files, which are doubles, as the atlas keeps them: floats.
#pragma once

#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"

namespace safesail {

/// An input error where a float cannot hold it.
inline float float_of(double value, const std::string& where) {
  if (!(std::abs(value) <= std::numeric_limits<float>::max()))
    bad_input(where, "a number is too large for a 32-bit float", "correct it");
  return static_cast<float>(value);
}

}  // namespace safesail
