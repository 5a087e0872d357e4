// The named tensors of a checkpoint, whatever container they came in, read into f32 arrays.
//
// Owns its file. Every read checks name, shape, dtype and finiteness first and says in an input
// error where it failed. f64, f32, f16 and bf16 are read as floats.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/tensor.h"
#include "formats/torch_pickle.h"

namespace safesail {

/// What torch.compile puts before every name of a module that it has wrapped.
inline constexpr const char* kCompiledPrefix = "_orig_mod.";

class TensorSet {
 public:
  static TensorSet from_safetensors(const fs::path& path);
  static TensorSet from_npz(const fs::path& path);
  /// The tensors among the items of `dict`, which belongs to `file`; whole numbers and floats count
  /// as scalars. Names are without kCompiledPrefix.
  static TensorSet from_torch(std::shared_ptr<const TorchFile> file, const PickleDict& dict);

  const std::string& where() const { return where_; }
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  std::vector<std::string> names() const;
  const std::vector<std::int64_t>& shape(std::string_view name) const { return at(name).shape; }
  /// The sizes of a matrix, both at least 1.
  std::pair<std::int64_t, std::int64_t> matrix(std::string_view name) const;
  DType dtype(std::string_view name) const { return at(name).dtype; }

  /// Leading dimensions of size 1 in the file are ignored where `shape` has none.
  void read(std::string_view name, const std::vector<std::int64_t>& shape,
            std::span<float> out) const;
  /// A matrix stored as [rows, columns] into `out` [columns, rows].
  void read_transposed(std::string_view name, std::int64_t rows, std::int64_t columns,
                       std::span<float> out) const;
  std::vector<float> vector(std::string_view name, std::int64_t n) const;
  /// One number, whatever its shape of one element.
  double scalar(std::string_view name) const;
  std::vector<std::int64_t> integers(std::string_view name) const;

  /// An input error where tensors are left that nothing has read or looked at and that are not
  /// `harmless`: what they would do to a result is not known.
  void refuse_unread(std::initializer_list<std::string_view> harmless = {}) const;

  [[noreturn]] void refuse(std::string_view name, std::string_view problem,
                           std::string_view remedy) const;

 private:
  const TensorView& at(std::string_view name) const;

  std::string where_;
  std::map<std::string, TensorView, std::less<>> tensors_;
  mutable std::set<std::string, std::less<>> read_;
  std::shared_ptr<const void> owner_;
  std::vector<std::shared_ptr<const void>> scalars_;  // what Python numbers become
};

/// [rows, columns] -> [columns, rows], to write what others store the other way round.
std::vector<float> transposed(std::span<const float> matrix, std::int64_t rows,
                              std::int64_t columns);

}  // namespace safesail
