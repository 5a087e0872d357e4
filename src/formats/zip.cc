#include "formats/zip.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <new>
#include <optional>
#include <zlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/units.h"
#include "formats/json.h"
#include "formats/nearest.h"
#include "formats/zip_layout.h"

namespace safesail {
namespace {

using namespace zip_layout;

constexpr std::string_view kRemedy = "fetch or write the file again";
/// A deflate stream cannot unpack to more than this many bytes a byte
/// (https://zlib.net/zlib_tech.html: 1032:1), the end of a stream aside.
constexpr std::uint64_t kMaxRatio = 1032;

/// Little-endian numbers at an offset that the caller has checked.
template <class T>
T number(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  SAFESAIL_CHECK(offset + sizeof value <= bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string_view text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Directory {
  std::uint64_t offset, size, n_entries;
};

/// What the records at the end of the file say of the central directory. `end` becomes the offset
/// at which the directory must end.
Directory find_directory(std::span<const std::byte> bytes, const std::string& where) {
  const auto no_zip = [&](std::string_view got) {
    bad_input(where, fmt::format("expected a zip archive, got {}", got),
              "check the file; if it is a zip archive, it is cut short: fetch it again");
  };
  if (bytes.size() < kEndBytes) no_zip(fmt::format("only {} bytes", bytes.size()));
  // The record ends in a comment of up to 64 KiB; the file ends with it.
  const std::size_t furthest = bytes.size() - kEndBytes;
  const std::size_t nearest = furthest > 0xffff ? furthest - 0xffff : 0;
  std::size_t end = furthest + 1;
  do {
    if (end-- == nearest) no_zip("a file without a directory at its end");
  } while (number<std::uint32_t>(bytes, end) != kEndMagic ||
           number<std::uint16_t>(bytes, end + 20) != bytes.size() - end - kEndBytes);

  const auto record = bytes.subspan(end);
  Directory directory{number<std::uint32_t>(record, 16), number<std::uint32_t>(record, 12),
                      number<std::uint16_t>(record, 10)};
  std::uint64_t directory_end = end;
  bool one_disk = number<std::uint16_t>(record, 4) == 0 && number<std::uint16_t>(record, 6) == 0 &&
                  number<std::uint16_t>(record, 8) == directory.n_entries;
  const bool has_locator =
      end >= kLocatorBytes && number<std::uint32_t>(bytes, end - kLocatorBytes) == kLocatorMagic;
  if (has_locator) {
    const auto offset = number<std::uint64_t>(bytes, end - kLocatorBytes + 8);
    if (end - kLocatorBytes < kEnd64Bytes || offset > end - kLocatorBytes - kEnd64Bytes ||
        number<std::uint32_t>(bytes, offset) != kEnd64Magic)
      bad_input(where, fmt::format("expected a zip64 end record at byte {}, got none", offset),
                kRemedy);
    const auto wide = bytes.subspan(offset);
    directory = {number<std::uint64_t>(wide, 48), number<std::uint64_t>(wide, 40),
                 number<std::uint64_t>(wide, 32)};
    directory_end = offset;
    one_disk = number<std::uint32_t>(wide, 16) == 0 && number<std::uint32_t>(wide, 20) == 0 &&
               number<std::uint64_t>(wide, 24) == directory.n_entries;
  }
  if (!one_disk)
    bad_input(where, "expected an archive in one file, got a part of a split one", "join it first");
  if (directory.size > directory_end || directory.offset != directory_end - directory.size)
    bad_input(where,
              fmt::format("expected a directory that ends at byte {}, got {} bytes from {}",
                          directory_end, directory.size, directory.offset),
              kRemedy);
  if (directory.n_entries > directory.size / kCentralBytes)
    bad_input(where,
              fmt::format("expected at most {} entries in a directory of {} bytes, got {}",
                          directory.size / kCentralBytes, directory.size, directory.n_entries),
              kRemedy);
  return directory;
}

/// The sizes and the offset of a central entry; those that are all ones stand in the zip64 field.
struct Place {
  std::uint64_t size, packed_size, offset;
};

Place read_place(std::span<const std::byte> record, std::span<const std::byte> extra,
                 const std::string& where) {
  Place place{number<std::uint32_t>(record, 24), number<std::uint32_t>(record, 20),
              number<std::uint32_t>(record, 42)};
  std::span<const std::byte> wide;
  for (std::size_t at = 0; at + 4 <= extra.size();) {
    const auto n = number<std::uint16_t>(extra, at + 2);
    if (n > extra.size() - at - 4) bad_input(where, "expected whole extra fields", kRemedy);
    if (number<std::uint16_t>(extra, at) == kZip64Field) wide = extra.subspan(at + 4, n);
    at += 4 + n;
  }
  for (std::uint64_t* value : {&place.size, &place.packed_size, &place.offset}) {
    if (*value != kInZip64Field) continue;
    if (wide.size() < 8) bad_input(where, "expected a zip64 field with the sizes", kRemedy);
    *value = number<std::uint64_t>(wide, 0);
    wide = wide.subspan(8);
  }
  return place;
}

struct Range {
  std::uint64_t begin, end;
};

/// Checks the local header against the directory; gives where the entry's bytes lie.
Range local_range(std::span<const std::byte> files, const Place& place, std::string_view name,
                  std::uint16_t method, const std::string& where) {
  if (files.size() < kLocalBytes || place.offset > files.size() - kLocalBytes ||
      number<std::uint32_t>(files, place.offset) != kLocalMagic)
    bad_input(where, fmt::format("expected a local header at byte {}, got none", place.offset),
              kRemedy);
  const auto local = files.subspan(place.offset);
  const auto n_name = number<std::uint16_t>(local, 26);
  const std::uint64_t n_head = kLocalBytes + n_name + number<std::uint16_t>(local, 28);
  if (n_head > local.size() || place.packed_size > local.size() - n_head)
    bad_input(
        where,
        fmt::format("expected {} bytes of data before the directory, got fewer", place.packed_size),
        "the file is cut short: fetch it again");
  if (text(local.subspan(kLocalBytes, n_name)) != name || number<std::uint16_t>(local, 8) != method)
    bad_input(where, "expected the same name and packing in both of its headers", kRemedy);
  return {place.offset + n_head, place.offset + n_head + place.packed_size};
}

/// A raw deflate stream that must give exactly out.size() bytes, or with `is_prefix` at least as
/// many.
void inflate_into(std::span<const std::byte> packed, std::span<std::byte> out, bool is_prefix,
                  const std::string& where) {
  z_stream zlib{};
  if (inflateInit2(&zlib, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
  std::size_t n_in = 0, n_out = 0;
  std::byte beyond{};
  int status = Z_OK;
  while (status == Z_OK) {
    if (is_prefix && n_out == out.size()) break;
    const std::size_t give = std::min(kPiece, packed.size() - n_in);
    const std::size_t room = std::min(kPiece, out.size() - n_out);
    zlib.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data() + n_in));
    zlib.avail_in = static_cast<uInt>(give);
    // Once the output is full the stream must end: one byte more proves that it does not.
    zlib.next_out = reinterpret_cast<Bytef*>(room > 0 ? out.data() + n_out : &beyond);
    zlib.avail_out = static_cast<uInt>(std::max<std::size_t>(room, 1));
    status = inflate(&zlib, Z_NO_FLUSH);
    n_in += give - zlib.avail_in;
    const std::size_t got = std::max<std::size_t>(room, 1) - zlib.avail_out;
    if (room == 0 && got > 0) status = Z_DATA_ERROR;
    n_out += room > 0 ? got : 0;
  }
  inflateEnd(&zlib);
  const bool done = is_prefix && n_out == out.size();
  if (!done && (status != Z_STREAM_END || n_out != out.size() || n_in != packed.size()))
    bad_input(where,
              fmt::format("expected {} bytes of deflate data that unpack to {} bytes, got {}",
                          packed.size(), out.size(),
                          n_out < out.size() ? "a damaged or shorter stream" : "a longer stream"),
              kRemedy);
}

void check_crc(std::span<const std::byte> bytes, std::uint32_t expected, const std::string& where) {
  const uLong got =
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<z_size_t>(bytes.size()));
  if (got != expected)
    bad_input(where, fmt::format("expected the checksum {:08x}, got {:08x}", expected, got),
              "the file is damaged: fetch it again");
}

std::string entry_place(const std::string& where, std::string_view name) {
  return fmt::format("{}: entry {}", where, printable(name));
}

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string where)
    : where_(std::move(where)) {
  const Directory directory = find_directory(bytes, where_);
  const auto files = bytes.first(directory.offset);
  auto rest = bytes.subspan(directory.offset, directory.size);
  std::vector<Range> ranges;
  for (std::uint64_t i = 0; i < directory.n_entries; ++i) {
    if (rest.size() < kCentralBytes || number<std::uint32_t>(rest, 0) != kCentralMagic)
      bad_input(where_, fmt::format("expected entry {} in the directory, got none", i), kRemedy);
    const auto n_name = number<std::uint16_t>(rest, 28), n_extra = number<std::uint16_t>(rest, 30),
               n_comment = number<std::uint16_t>(rest, 32);
    const std::uint64_t n_record = kCentralBytes + n_name + n_extra + n_comment;
    if (n_record > rest.size())
      bad_input(where_, fmt::format("expected a whole entry {} in the directory", i), kRemedy);
    const auto record = rest.first(n_record);
    rest = rest.subspan(n_record);
    const std::string_view name = text(record.subspan(kCentralBytes, n_name));
    const std::string place_name = entry_place(where_, name);
    const auto method = number<std::uint16_t>(record, 10);
    if ((number<std::uint16_t>(record, 8) & kEncryptedFlag) != 0)
      bad_input(place_name, "expected plain data, got an encrypted entry", "decrypt it first");
    if (method != kStored && method != kDeflated)
      bad_input(place_name, fmt::format("expected stored or deflated data, got method {}", method),
                "pack it again with deflate");

    const Place place =
        read_place(record, record.subspan(kCentralBytes + n_name, n_extra), place_name);
    const Range range = local_range(files, place, name, method, place_name);
    const bool possible = method == kStored ? place.size == place.packed_size
                                            : place.size / kMaxRatio <= place.packed_size;
    if (!possible)
      bad_input(place_name,
                fmt::format("expected a size that {} bytes can hold, got {}", place.packed_size,
                            place.size),
                kRemedy);
    ranges.push_back({place.offset, range.end});
    const ZipEntry entry{method == kDeflated, number<std::uint32_t>(record, 16), place.size,
                         bytes.subspan(range.begin, place.packed_size)};
    if (!entries_.emplace(name, entry).second)
      bad_input(place_name, "expected each name once, got it twice", kRemedy);
  }
  if (!rest.empty())
    bad_input(where_,
              fmt::format("expected a directory of {} entries, got {} bytes more",
                          directory.n_entries, rest.size()),
              kRemedy);
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].begin < ranges[i - 1].end)
      bad_input(
          where_,
          fmt::format("expected entries apart, got two that overlap at byte {}", ranges[i].begin),
          kRemedy);
  }
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto entry = entries_.find(name);
  return entry == entries_.end() ? nullptr : &entry->second;
}

const ZipEntry& ZipArchive::at(std::string_view name) const {
  if (const ZipEntry* entry = find(name)) return *entry;
  bad_input(where_,
            fmt::format("expected an entry {}; the nearest names are {}", printable(name),
                        nearest_keys(name, entries_)),
            "check that this is the right file");
}

std::span<const std::byte> ZipArchive::stored(std::string_view name) const {
  const ZipEntry& entry = at(name);
  const std::string where = entry_place(where_, name);
  if (entry.is_deflated)
    bad_input(where, "expected a stored entry, got a deflated one", "write the file again");
  check_crc(entry.packed, entry.crc, where);
  return entry.packed;
}

std::vector<std::byte> ZipArchive::unpack(std::string_view name, std::uint64_t max_bytes) const {
  const ZipEntry& entry = at(name);
  const std::string where = entry_place(where_, name);
  if (entry.size > max_bytes)
    bad_input(
        where,
        fmt::format("expected at most {}, got {}", human_bytes(max_bytes), human_bytes(entry.size)),
        "check that this is the right file");
  require_memory(entry.size, where, "unpack it on a larger machine");
  std::vector<std::byte> bytes(entry.size);
  if (entry.is_deflated)
    inflate_into(entry.packed, bytes, false, where);
  else
    std::copy(entry.packed.begin(), entry.packed.end(), bytes.begin());
  check_crc(bytes, entry.crc, where);
  return bytes;
}

std::vector<std::byte> ZipArchive::peek(std::string_view name, std::size_t n) const {
  const ZipEntry& entry = at(name);
  std::vector<std::byte> bytes(std::min<std::uint64_t>(n, entry.size));
  if (entry.is_deflated)
    inflate_into(entry.packed, bytes, bytes.size() < entry.size, entry_place(where_, name));
  else
    std::copy_n(entry.packed.begin(), bytes.size(), bytes.begin());
  return bytes;
}

}  // namespace safesail
