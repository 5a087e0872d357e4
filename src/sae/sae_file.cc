#include "sae/sae_file.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr const char* kRemedy = "take an undamaged file that Safesail wrote, or convert it first";

void copy_checked(const SafetensorsFile& file, std::string_view name, DType dtype,
                  std::span<const std::int64_t> shape, std::span<std::byte> out) {
  require_shape(file, name, {shape.begin(), shape.end()});
  const TensorView& tensor = file.at(name);
  if (tensor.dtype != dtype) {
    bad_input(fmt::format("{}: {}", file.path().string(), name),
              fmt::format("expected {}, got {}", name_of(dtype), name_of(tensor.dtype)), kRemedy);
  }
  SAFESAIL_CHECK(tensor.bytes.size() == out.size());
  if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), out.size());
}

template <class T>
T parse_number(const SafetensorsFile& file, const std::string& key, T low, T high) {
  const std::string& text = metadata_text(file, key);
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || !(number >= low && number <= high)) {
    bad_input(
        fmt::format("{}: metadata {}", file.path().string(), key),
        fmt::format("expected a number from {} to {}, got '{}'", low, high, text.substr(0, 40)),
        kRemedy);
  }
  return number;
}

}  // namespace

void require_shape(const SafetensorsFile& file, std::string_view name,
                   const std::vector<std::int64_t>& shape) {
  const TensorView& tensor = file.at(name);
  if (tensor.shape == shape) return;
  bad_input(fmt::format("{}: {}", file.path().string(), name),
            fmt::format("expected shape [{}], got {}", fmt::join(shape, ", "), tensor.shape_text()),
            kRemedy);
}

void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<float> out) {
  copy_checked(file, name, DType::f32, shape, std::as_writable_bytes(out));
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isfinite(out[i])) continue;
    bad_input(fmt::format("{}: {}", file.path().string(), name),
              fmt::format("expected finite numbers, got {} at element {}", out[i], i), kRemedy);
  }
}

void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<std::int64_t> out) {
  copy_checked(file, name, DType::i64, shape, std::as_writable_bytes(out));
}

void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<std::int32_t> out) {
  copy_checked(file, name, DType::i32, shape, std::as_writable_bytes(out));
}

const std::string& metadata_text(const SafetensorsFile& file, const std::string& key) {
  const auto entry = file.metadata().find(key);
  if (entry == file.metadata().end()) {
    bad_input(file.path().string(), fmt::format("expected metadata '{}', got none", key), kRemedy);
  }
  return entry->second;
}

std::int64_t metadata_integer(const SafetensorsFile& file, const std::string& key, std::int64_t low,
                              std::int64_t high) {
  return parse_number<std::int64_t>(file, key, low, high);
}

std::uint64_t metadata_unsigned(const SafetensorsFile& file, const std::string& key) {
  return parse_number<std::uint64_t>(file, key, 0, std::numeric_limits<std::uint64_t>::max());
}

float metadata_positive_float(const SafetensorsFile& file, const std::string& key) {
  return parse_number<float>(file, key, std::numeric_limits<float>::min(),
                             std::numeric_limits<float>::max());
}

}  // namespace safesail
