#include <cstring>
#include <limits>
#include <zlib.h>

#include "base/error.h"
#include "formats/zip.h"
#include "formats/zip_layout.h"

namespace safesail {
namespace {

using namespace zip_layout;

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint16_t kNeedsZip64 = 45;        // the version that can read it: 4.5
constexpr std::uint16_t kPaddingField = 0x4246;  // "FB", as torch pads
constexpr std::uint32_t kDate =
    0x00210000;  // 1980-01-01 00:00, so that equal input gives equal bytes

template <class... Numbers>
std::string record(Numbers... numbers) {
  std::string bytes;
  (bytes.append(reinterpret_cast<const char*>(&numbers), sizeof numbers), ...);
  return bytes;
}

using U16 = std::uint16_t;
using U32 = std::uint32_t;
using U64 = std::uint64_t;

}  // namespace

void ZipWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  SAFESAIL_CHECK(!name.empty() && name.size() <= std::numeric_limits<U16>::max());
  const auto crc = U32(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  const U64 size = bytes.size();
  const std::string sizes = record(U16{kZip64Field}, U16{16}, size, size);
  const U64 unpadded = position_ + kLocalBytes + name.size() + sizes.size() + 4;
  const U64 n_padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  const std::string padding = record(U16{kPaddingField}, U16(n_padding));

  // Both headers share what lies between the version and the sizes.
  const std::string middle = record(kNeedsZip64, U16{0}, U16{kStored}, kDate, crc, kInZip64Field,
                                    kInZip64Field, U16(name.size()));
  std::string local = record(kLocalMagic) + middle + record(U16(sizes.size() + 4 + n_padding));
  local.append(name).append(sizes).append(padding).append(n_padding, '\0');
  file_.write(local);
  file_.write(bytes);

  const std::string place = record(U16{kZip64Field}, U16{24}, size, size, position_);
  directory_ += record(kCentralMagic, kNeedsZip64) + middle +
                record(U16(place.size()), U16{0}, U16{0}, U16{0}, U32{0}, kInZip64Field);
  directory_.append(name).append(place);
  position_ += local.size() + size;
  ++n_entries_;
}

void ZipWriter::add(std::string_view name, std::string_view text) {
  add(name, std::as_bytes(std::span(text)));
}

void ZipWriter::commit() {
  const U64 end = position_ + directory_.size();
  file_.write(directory_);
  file_.write(record(kEnd64Magic, U64{kEnd64Bytes - 12}, kNeedsZip64, kNeedsZip64, U32{0}, U32{0},
                     n_entries_, n_entries_, U64(directory_.size()), position_));
  file_.write(record(kLocatorMagic, U32{0}, end, U32{1}));
  constexpr U16 kMany = 0xffff;
  file_.write(
      record(kEndMagic, U16{0}, U16{0}, kMany, kMany, kInZip64Field, kInZip64Field, U16{0}));
  file_.commit();
}

}  // namespace safesail
