// For tests: zip archives byte by byte, right or wrong in every field.
#pragma once

#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

#include "formats/tensor.h"
#include "formats/test_files.h"

namespace safesail {

struct TestEntry {
  std::string name, data;  ///< data as it lies in the file
  std::uint16_t method = 0, flags = 0;
  std::uint32_t size = 0, crc = 0;  ///< once unpacked
  std::string local_name;
};

inline std::uint32_t crc_of(std::string_view data) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
}

inline TestEntry stored_entry(std::string name, std::string data) {
  TestEntry entry{name, data, 0, 0, std::uint32_t(data.size()), crc_of(data), name};
  return entry;
}

inline TestEntry deflated_entry(std::string name, std::string_view data) {
  z_stream zlib{};
  deflateInit2(&zlib, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&zlib, data.size()), '\0');
  zlib.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data.data()));
  zlib.avail_in = static_cast<uInt>(data.size());
  zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
  zlib.avail_out = static_cast<uInt>(packed.size());
  deflate(&zlib, Z_FINISH);
  packed.resize(packed.size() - zlib.avail_out);
  deflateEnd(&zlib);
  return {name, packed, 8, 0, std::uint32_t(data.size()), crc_of(data), name};
}

/// A zip archive without zip64. `shift` moves the offset of the entry `shifted` in the directory.
inline std::string zip_of(const std::vector<TestEntry>& entries, std::size_t shifted = 0,
                          std::uint32_t shift = 0) {
  std::string file, directory;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const TestEntry& entry = entries[i];
    const auto sizes = raw(entry.crc) + raw(std::uint32_t(entry.data.size())) + raw(entry.size);
    const auto offset = std::uint32_t(file.size()) + (i == shifted ? shift : 0);
    file += raw(0x04034b50) + raw<std::uint16_t>(20) + raw(entry.flags) + raw(entry.method) +
            raw(0x00210000) + sizes + raw(std::uint16_t(entry.local_name.size())) +
            raw<std::uint16_t>(0) + entry.local_name + entry.data;
    directory += raw(0x02014b50) + raw<std::uint16_t>(20) + raw<std::uint16_t>(20) +
                 raw(entry.flags) + raw(entry.method) + raw(0x00210000) + sizes +
                 raw(std::uint16_t(entry.name.size())) + std::string(12, '\0') + raw(offset) +
                 entry.name;
  }
  const auto n = std::uint16_t(entries.size());
  const auto start = std::uint32_t(file.size());
  return file + directory + raw(0x06054b50) + raw(0) + raw(n) + raw(n) +
         raw(std::uint32_t(directory.size())) + raw(start) + raw<std::uint16_t>(0);
}

/// 0, 1, ... 5 as the bytes of an array's data.
inline std::string six_floats() {
  std::string bytes;
  for (int i = 0; i < 6; ++i) bytes += raw(float(i));
  return bytes;
}

inline std::vector<float> floats(const TensorView& view) {
  std::vector<float> values(view.bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
  return values;
}

}  // namespace safesail
