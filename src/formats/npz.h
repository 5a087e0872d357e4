// Numpy's .npz: a zip archive of .npy arrays, stored or deflated, of header versions 1 to 3, in C
// or Fortran order. Members are read when asked for; stored ones in C order are views of the file,
// others copies. Arrays of Python objects are pickles and are refused, as are big-endian ones.
// Every byte is hostile. One thread a file. Format: docs/formats/sae_dialects.md.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/strided.h"
#include "formats/tensor.h"
#include "formats/zip.h"

namespace safesail {

class NpzFile {
 public:
  explicit NpzFile(const fs::path& path);
  /// Over bytes that outlive it; `where` names them in errors.
  NpzFile(std::span<const std::byte> bytes, std::string where);

  const std::string& where() const { return archive_.where(); }
  /// The arrays' names, without ".npy", sorted.
  std::vector<std::string> names() const;
  bool contains(std::string_view name) const;
  /// Valid while the file lives. An input error when there is no such array.
  const TensorView& at(std::string_view name);

 private:
  explicit NpzFile(std::unique_ptr<MappedFile> file);

  std::unique_ptr<MappedFile> file_;
  ZipArchive archive_;
  TensorCopies copies_;
  std::map<std::string, TensorView, std::less<>> arrays_;  // those asked for
};

struct NamedTensor;

/// Writes atomically, stored, in C order. Equal input gives equal bytes. A dtype that numpy lacks
/// (bf16) is a bug.
void write_npz(const fs::path& path, std::span<const NamedTensor> arrays);

}  // namespace safesail
