// Files that torch.save made: a zip archive of one pickle and the raw storages of its tensors.
//
// A pickle is a program. This reader runs none of it: it knows dicts, OrderedDicts, lists, tuples,
// plain scalars, strings, bytes and tensors, and refuses every other global by its name ("refused
// posix.system") before anything else of the file is used. Depth, memo, item counts, shapes and
// strides are bounded and checked against the bytes at hand. Contiguous tensors are views of the
// file, others copies, at most as large as the file in all.
//
// Immutable after construction; may be read from several threads. Values live as long as their
// TorchFile. Format: docs/formats/sae_dialects.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "formats/tensor.h"

namespace safesail {

class PickleValue;
/// Lists and tuples alike.
using PickleList = std::vector<const PickleValue*>;

/// In the order written; of a key written twice the last one counts, as in Python.
struct PickleDict {
  std::vector<std::pair<const PickleValue*, const PickleValue*>> items;
  /// Null when there is no such string key.
  const PickleValue* find(std::string_view key) const;
};

struct PickleBytes {
  std::string_view bytes;
};

class PickleValue {
 public:
  using Variant = std::variant<std::monostate, bool, std::int64_t, double, std::string_view,
                               PickleBytes, TensorView, PickleList, PickleDict>;
  PickleValue() = default;
  explicit PickleValue(Variant content) : content_(std::move(content)) {}

  /// Null when the value is of another kind.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&content_);
  }
  const PickleDict* dict() const { return as<PickleDict>(); }
  /// "dict", "tensor F32 [3, 4]", "float"...
  std::string kind() const;

 private:
  Variant content_;
};

class TorchFile {
 public:
  explicit TorchFile(const fs::path& path);
  /// Over bytes that outlive it; `where` names them in errors.
  TorchFile(std::span<const std::byte> bytes, std::string where);
  ~TorchFile();
  TorchFile(TorchFile&&) noexcept;
  TorchFile& operator=(TorchFile&&) noexcept;

  const std::string& where() const;
  const PickleValue& root() const;

 private:
  struct Contents;
  std::unique_ptr<Contents> contents_;
};

/// One item of a dict to write.
struct TorchItem {
  std::string name;
  std::variant<TensorView, std::int64_t, double> value;
};

/// Writes a dict that torch.load(weights_only=True) reads; atomically, after a look at the disk.
/// Tensors of dtypes that torch has no storage for (unsigned ones wider than a byte) are a bug.
void write_torch(const fs::path& path, std::span<const TorchItem> items);

}  // namespace safesail
