#include "formats/gguf.h"

#include <array>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "formats/nearest.h"

namespace safesail {

std::int64_t GgufTensor::n_elements() const {
  std::int64_t n = 1;
  for (const std::int64_t dim : shape) n *= dim;
  return n;
}

GgufFile::GgufFile(const fs::path& path)
    : file_(path), contents_(parse_gguf(file_.bytes(), path.string())) {}

const GgufTensor& GgufFile::tensor(std::string_view name) const {
  const auto entry = tensors().find(name);
  if (entry == tensors().end())
    bad_input(path().string(),
              fmt::format("expected a tensor {}; the nearest names are {}", printable(name),
                          nearest_keys(name, tensors())),
              "check that the file holds a model of this family");
  return entry->second;
}

void GgufFile::missing(std::string_view key) const {
  bad_input(path().string(),
            fmt::format("expected metadata {}; the nearest keys are {}", printable(key),
                        nearest_keys(key, metadata())),
            "convert the model again with a current llama.cpp");
}

void GgufFile::wrong_type(std::string_view key, std::size_t expected) const {
  // In the order of GgufValue.
  constexpr std::array<std::string_view, std::variant_size_v<GgufValue>> kKinds = {
      "an integer",         "a float",          "a boolean",        "a string",
      "a list of integers", "a list of floats", "a list of strings"};
  bad_input(path().string(),
            fmt::format("expected metadata {} to be {}, got {}", printable(key), kKinds[expected],
                        kKinds[metadata().find(key)->second.index()]),
            "convert the model again with a current llama.cpp");
}

}  // namespace safesail
