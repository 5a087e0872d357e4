#include <bit>
#include <cstring>
#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "formats/strided.h"
#include "formats/torch_pickle.h"
#include "formats/unpickler.h"
#include "formats/zip.h"

namespace safesail {
namespace {

// Protocol 2, as torch.save writes it; the memo is not used.

std::string packed(char opcode, const void* bytes, std::size_t n) {
  return opcode + std::string(static_cast<const char*>(bytes), n);
}

std::string pickled(std::string_view text) {
  const auto n = static_cast<std::uint32_t>(text.size());
  return packed('X', &n, sizeof n) + std::string(text);
}

std::string pickled(std::int64_t value) {
  if (value == std::int32_t(value)) {
    const auto small = static_cast<std::int32_t>(value);
    return packed('J', &small, sizeof small);
  }
  return "\x8a\x08" + std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string pickled(double value) {
  const std::uint64_t bits = __builtin_bswap64(std::bit_cast<std::uint64_t>(value));
  return packed('G', &bits, sizeof bits);
}

std::string pickled(const std::vector<std::int64_t>& integers) {
  std::string tuple = "(";
  for (const std::int64_t value : integers) tuple += pickled(value);
  return tuple + "t";
}

std::string pickled(const TensorView& tensor, std::size_t key) {
  const std::string_view storage = torch_storage_of(tensor.dtype);
  SAFESAIL_CHECK(!storage.empty());
  SAFESAIL_CHECK(checked_byte_size(tensor.dtype, tensor.shape) == tensor.bytes.size());
  return fmt::format("ctorch._utils\n_rebuild_tensor_v2\n(({}ctorch\n{}\n{}{}{}tQ",
                     pickled("storage"), storage, pickled(std::to_string(key)), pickled("cpu"),
                     pickled(tensor.n_elements())) +
         pickled(std::int64_t{0}) + pickled(tensor.shape) +
         pickled(row_major_strides(tensor.shape)) + "\x89" + "ccollections\nOrderedDict\n)RtR";
}

}  // namespace

void write_torch(const fs::path& path, std::span<const TorchItem> items) {
  std::string pickle = "\x80\x02}(";
  std::vector<std::span<const std::byte>> storages;
  std::uint64_t n_bytes = 0;
  for (const TorchItem& item : items) {
    pickle += pickled(item.name);
    if (const auto* tensor = std::get_if<TensorView>(&item.value)) {
      pickle += pickled(*tensor, storages.size());
      storages.push_back(tensor->bytes);
      n_bytes += tensor->bytes.size();
    } else if (const auto* integer = std::get_if<std::int64_t>(&item.value)) {
      pickle += pickled(*integer);
    } else {
      pickle += pickled(std::get<double>(item.value));
    }
  }
  pickle += "u.";

  require_disk(path, n_bytes + pickle.size(), "the tensors");
  ZipWriter zip(path);
  zip.add("archive/data.pkl", pickle);
  zip.add("archive/byteorder", "little");
  for (std::size_t i = 0; i < storages.size(); ++i)
    zip.add(fmt::format("archive/data/{}", i), storages[i]);
  zip.add("archive/version", "3\n");
  zip.commit();
}

}  // namespace safesail
