// What every fuzz target shares: bad bytes must end in Error. Any other exception, a sanitizer's
// finding, a hang or too much memory is a bug that libFuzzer reports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"

namespace safesail {

template <class Read>
int fuzz_one(const std::uint8_t* data, std::size_t size, Read read) {
  try {
    read(std::as_bytes(std::span(data, size)));
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace safesail
