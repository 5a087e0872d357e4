// The kind of a file by its name, whatever letters it is written in.
#pragma once

#include <string>

#include "base/file.h"

namespace safesail {

/// ".csv" of "PAIRS.CSV".
inline std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return extension;
}

}  // namespace safesail
