// For tests: the GGUF file of a golden model, with other metadata.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unistd.h>
#include <variant>

#include "base/error.h"
#include "formats/gguf.h"

namespace safesail::testing {

/// A file that vanishes with this object.
class ChangedGguf {
 public:
  explicit ChangedGguf(const fs::path& original)
      : metadata(GgufFile(original).metadata()),
        original_(original),
        path_(fs::temp_directory_path() / ("safesail_keys." + std::to_string(::getpid()))) {}
  ChangedGguf(const ChangedGguf&) = delete;
  ChangedGguf& operator=(const ChangedGguf&) = delete;
  ~ChangedGguf() { fs::remove(path_); }

  /// What the file will say; numbers, flags and texts only.
  std::map<std::string, GgufValue, std::less<>> metadata;

  /// Writes it, with the tensors of the original.
  GgufFile file() const {
    const GgufFile original(original_);
    std::string keys, infos, data;
    for (const auto& [key, value] : metadata) keys += text(key) + value_text(value);
    for (const auto& [name, tensor] : original.tensors()) {
      infos += text(name) + raw(static_cast<std::uint32_t>(tensor.shape.size()));
      for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
        infos += raw(*size);
      infos += raw(static_cast<std::uint32_t>(tensor.type)) + raw<std::uint64_t>(data.size());
      data.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
      data.append(padding(data.size()), '\0');
    }
    std::string bytes = "GGUF" + raw(std::uint32_t{3}) +
                        raw<std::uint64_t>(original.tensors().size()) +
                        raw<std::uint64_t>(metadata.size()) + keys + infos;
    bytes.append(padding(bytes.size()), '\0');
    write_file(path_, bytes + data);
    return GgufFile(path_);
  }

 private:
  template <class T>
  static std::string raw(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  static std::string text(std::string_view value) {
    return raw<std::uint64_t>(value.size()) + std::string(value);
  }
  static std::size_t padding(std::size_t size) { return (32 - size % 32) % 32; }
  static std::string value_text(const GgufValue& value) {
    // The ids of i64, f64, boolean and text.
    if (const auto* number = std::get_if<std::int64_t>(&value)) return raw(11U) + raw(*number);
    if (const auto* number = std::get_if<double>(&value)) return raw(12U) + raw(*number);
    if (const auto* flag = std::get_if<bool>(&value)) return raw(7U) + raw(*flag);
    return raw(8U) + text(std::get<std::string>(value));
  }

  fs::path original_, path_;
};

}  // namespace safesail::testing
