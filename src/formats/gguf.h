// GGUF (versions 2 and 3, little-endian): typed metadata, then tensors, many of them
// block-quantised. Reading maps the file; strings, arrays and tensors are views or copies that stay
// valid while the GgufFile lives. Hostile input: every length is checked against the file before it
// is believed. Immutable after construction. See docs/formats/gguf.md.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "formats/ggml_type.h"

namespace safesail {

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::f32;
  std::vector<std::int64_t> shape;  ///< outermost first, as Hugging Face writes it: [rows, columns]
  std::span<const std::byte> bytes;

  std::int64_t n_elements() const;
};

/// A metadata value. Integers of every width become int64 (u64 above 2^63-1 is refused), both float
/// widths double, arrays one of the three vectors (nested arrays are refused).
using GgufValue = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string>>;

/// What a file says; the tensors are views into its bytes.
struct GgufContents {
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::map<std::string, GgufTensor, std::less<>> tensors;
};

/// Reads a file that is already in memory; `where` names it in errors.
GgufContents parse_gguf(std::span<const std::byte> bytes, std::string_view where);

class GgufFile {
 public:
  explicit GgufFile(const fs::path& path);

  const fs::path& path() const { return file_.path(); }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const {
    return contents_.metadata;
  }
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const {
    return contents_.tensors;
  }

  /// The value of `key` as T; an input error that names the key when it is missing or of another
  /// type.
  template <class T>
  const T& get(std::string_view key) const {
    const T* value = find<T>(key);
    if (value == nullptr) missing(key);
    return *value;
  }
  /// nullptr when the key is missing; an input error when it has another type.
  template <class T>
  const T* find(std::string_view key) const {
    const auto entry = metadata().find(key);
    if (entry == metadata().end()) return nullptr;
    const T* value = std::get_if<T>(&entry->second);
    if (value == nullptr) wrong_type(key, GgufValue(std::in_place_type<T>).index());
    return value;
  }
  const GgufTensor& tensor(std::string_view name) const;
  void drop_pages() const { file_.drop_pages(); }

 private:
  [[noreturn]] void missing(std::string_view key) const;
  /// `expected`: an index of GgufValue.
  [[noreturn]] void wrong_type(std::string_view key, std::size_t expected) const;

  MappedFile file_;
  GgufContents contents_;
};

/// Dequantises elements [first, first + out.size()) of `tensor`, both multiples of its block, as
/// f32. The values are those of ggml's reference dequantisers, bit for bit. One thread; callers
/// share out rows with parallel_for.
void dequantize(const GgufTensor& tensor, std::int64_t first, std::span<float> out);

/// The same, rounded to nearest-even bf16 (as raw bits).
void dequantize_bf16(const GgufTensor& tensor, std::int64_t first, std::span<std::uint16_t> out);

}  // namespace safesail
