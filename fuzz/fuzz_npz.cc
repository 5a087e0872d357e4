// The first byte picks: the rest is an .npz file, or one .npy array to wrap into one (so that the
// fuzzer need not learn checksums). Every array must have the bytes of its shape.
#include <string>
#include <zlib.h>

#include "formats/npz.h"
#include "fuzz_target.h"

namespace {

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A zip archive of the stored entry "a.npy".
std::string wrapped(std::string_view data) {
  const auto crc =
      std::uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
  const auto n = std::uint32_t(data.size());
  const std::string sizes = raw(crc) + raw(n) + raw(n) + raw(std::uint16_t{5});
  const std::string head = raw(std::uint64_t{20}).substr(0, 2) + std::string(8, '\0') + sizes;
  std::string file = raw(std::uint32_t{0x04034b50}) + head + raw(std::uint16_t{0}) + "a.npy";
  file.append(data);
  const auto start = std::uint32_t(file.size());
  const std::string directory = raw(std::uint32_t{0x02014b50}) + raw(std::uint16_t{20}) + head +
                                std::string(16, '\0') + "a.npy";
  return file + directory + raw(std::uint32_t{0x06054b50}) + raw(std::uint32_t{0}) +
         raw(std::uint16_t{1}) + raw(std::uint16_t{1}) + raw(std::uint32_t(directory.size())) +
         raw(start) + raw(std::uint16_t{0});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  if (size == 0) return 0;
  return fuzz_one(data + 1, size - 1, [&](std::span<const std::byte> bytes) {
    std::string archive;
    if (data[0] % 2 != 0) {
      archive = wrapped({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      bytes = std::as_bytes(std::span(archive));
    }
    NpzFile file(bytes, "fuzz");
    SAFESAIL_CHECK(archive.empty() || file.contains("a"));
    for (const std::string& name : file.names()) {
      const TensorView& array = file.at(name);
      SAFESAIL_CHECK(checked_byte_size(array.dtype, array.shape) == array.bytes.size());
      unsigned sum = 0;  // reads every byte, for the sanitizer
      for (const std::byte byte : array.bytes) sum += std::to_integer<unsigned>(byte);
      SAFESAIL_CHECK(sum <= 255 * array.bytes.size());
    }
  });
}
