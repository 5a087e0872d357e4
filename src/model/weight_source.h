// Tensors of a model file under one face, whether they lie in safetensors or, quantised, in GGUF.
// Immutable; any number of threads may read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "formats/gguf.h"
#include "formats/safetensors.h"

namespace safesail {

/// A tensor of the file; a view that lives as long as its source.
class SourceTensor {
 public:
  explicit SourceTensor(const TensorView& view) : view_(&view) {}
  explicit SourceTensor(const GgufTensor& view) : view_(&view) {}

  const std::vector<std::int64_t>& shape() const;
  /// False for integers and other types that no weight has.
  bool is_float() const;
  std::string_view dtype_name() const;
  /// Whether the other holds the same: shape, type and every byte.
  bool same_bytes(const SourceTensor& other) const;

  /// Elements [first, first + out.size()), converted; rounding is to nearest even. In GGUF both
  /// must be multiples of the block.
  void read(std::int64_t first, std::span<float> out) const;
  void read_bf16(std::int64_t first, std::span<std::uint16_t> out) const;

 private:
  std::span<const std::byte> bytes() const;

  std::variant<const TensorView*, const GgufTensor*> view_;
};

class WeightSource {
 public:
  explicit WeightSource(SafetensorsFolder folder, std::string where)
      : files_(std::move(folder)), where_(std::move(where)) {}
  explicit WeightSource(GgufFile file) : files_(std::move(file)), where_(gguf().path().string()) {}

  /// The folder or file, for messages.
  const std::string& where() const { return where_; }
  std::optional<SourceTensor> find(std::string_view name) const;
  /// Of every tensor, sorted.
  std::vector<std::string> names() const;
  const GgufFile& gguf() const { return std::get<GgufFile>(files_); }
  void drop_pages() const;

 private:
  std::variant<SafetensorsFolder, GgufFile> files_;
  std::string where_;
};

}  // namespace safesail
