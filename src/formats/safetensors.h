// Safetensors: one header of JSON, then raw tensors. Reading maps the file; every view stays valid
// while the SafetensorsFile (or the SafetensorsFolder) lives. Every header is treated as hostile:
// lengths, offsets, overlaps, holes, shapes, dtypes and duplicate names are checked before the
// first view is given. Objects are immutable after construction and may be read from several
// threads. See docs/formats/safetensors.md.
//
// The format does not align tensors: what this writer makes is aligned to its element, files of
// others may not be, so copy out of a view (memcpy, at::Tensor::clone) before typed access.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/tensor.h"

namespace safesail {

/// What a file says: views into its bytes.
struct SafetensorsContents {
  std::map<std::string, std::string> metadata;
  std::map<std::string, TensorView, std::less<>> tensors;
};

/// Reads a file that is already in memory; `where` names it in errors. The views point into
/// `bytes`.
SafetensorsContents parse_safetensors(std::span<const std::byte> bytes, std::string_view where);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const fs::path& path);

  const fs::path& path() const { return file_.path(); }
  /// The header's "__metadata__": free strings.
  const std::map<std::string, std::string>& metadata() const { return contents_.metadata; }
  const std::map<std::string, TensorView, std::less<>>& tensors() const {
    return contents_.tensors;
  }
  bool contains(std::string_view name) const { return tensors().find(name) != tensors().end(); }
  /// Throws an input error that names the file and its nearest tensors when there is no such
  /// tensor.
  const TensorView& at(std::string_view name) const;
  void drop_pages() const { file_.drop_pages(); }

 private:
  MappedFile file_;
  SafetensorsContents contents_;
};

/// The weights of a Hugging Face folder: `model.safetensors`, or else the shards that
/// `model.safetensors.index.json` names (a missing or extra shard is an error).
class SafetensorsFolder {
 public:
  explicit SafetensorsFolder(const fs::path& folder);

  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  const TensorView& at(std::string_view name) const;
  /// Every tensor name of every shard, sorted.
  std::vector<std::string> names() const;
  std::uint64_t total_bytes() const;
  void drop_pages() const;

 private:
  fs::path folder_;
  std::vector<SafetensorsFile> shards_;
  std::map<std::string, TensorView, std::less<>> tensors_;  // views into shards_
};

struct NamedTensor {
  std::string name;
  TensorView tensor;
};

/// Writes atomically, after a look at the free disk. Tensors are laid out by falling element size
/// (the given order within one), so that each is aligned to its element; the file has no holes.
void write_safetensors(const fs::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace safesail
