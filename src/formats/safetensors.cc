#include "formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/units.h"
#include "formats/json.h"
#include "formats/nearest.h"

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

namespace safesail {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::string_view kRemedy = "fetch or write the file again";
constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference reader's own limit

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The header's JSON text; the tensors' bytes start behind it.
std::string_view header_of(std::span<const std::byte> bytes, std::string_view where) {
  if (bytes.size() < kLengthBytes)
    bad_input(where, fmt::format("expected a safetensors file, got only {} bytes", bytes.size()),
              kRemedy);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes)
    bad_input(where,
              fmt::format("expected a header of at most {} bytes, got a length of {}",
                          kMaxHeaderBytes, length),
              "check that this is a safetensors file");
  if (length > bytes.size() - kLengthBytes)
    bad_input(where,
              fmt::format("expected a header of {} bytes, got {} before the end of the file",
                          length, bytes.size() - kLengthBytes),
              "the file is cut short: fetch it again");
  const std::string_view header = text_of(bytes.subspan(kLengthBytes, length));
  if (!header.starts_with('{'))
    bad_input(where, "expected a header that starts with '{', got something else",
              "check that this is a safetensors file");
  return header;
}

std::map<std::string, std::string> parse_metadata(const Json& value, const std::string& where) {
  const JsonObject object(value, where);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) metadata[key] = object.get<std::string>(key);
  return metadata;
}

struct Range {
  std::uint64_t begin, end;
  std::string_view name;
};

/// One entry of the header as a view into `data`; adds its range.
TensorView parse_tensor(const JsonObject& entry, std::span<const std::byte> data, Range& range) {
  TensorView tensor;
  const std::string dtype_name = entry.get<std::string>("dtype");
  const std::optional<DType> dtype = dtype_named(dtype_name);
  if (!dtype)
    bad_input(entry.where(), fmt::format("expected a known dtype, got {}", printable(dtype_name)),
              "convert the tensors to F32, F16 or BF16");
  tensor.dtype = *dtype;
  tensor.shape = entry.get<std::vector<std::int64_t>>("shape");
  const std::optional<std::uint64_t> size = checked_byte_size(*dtype, tensor.shape);
  if (!size)
    bad_input(entry.where(),
              fmt::format("expected a shape that can be counted, got {}", tensor.shape_text()),
              kRemedy);

  const auto offsets = entry.get<std::vector<std::int64_t>>("data_offsets");
  if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0])
    bad_input(entry.where(),
              fmt::format("expected data_offsets [begin, end] with 0 <= begin <= end, got [{}]",
                          fmt::join(offsets, ", ")),
              kRemedy);
  range.begin = static_cast<std::uint64_t>(offsets[0]);
  range.end = static_cast<std::uint64_t>(offsets[1]);
  if (range.end > data.size())
    bad_input(
        entry.where(),
        fmt::format("expected data within {} bytes, got an end at {}", data.size(), range.end),
        "the file is cut short: fetch it again");
  if (range.end - range.begin != *size)
    bad_input(entry.where(),
              fmt::format("expected {} bytes for {} {}, got {}", *size, dtype_name,
                          tensor.shape_text(), range.end - range.begin),
              kRemedy);
  tensor.bytes = data.subspan(range.begin, *size);
  return tensor;
}

/// The format wants the tensors to cover the data exactly: no overlap lets two names share memory,
/// no hole hides bytes.
void require_tiling(std::vector<Range> ranges, std::uint64_t n_bytes, std::string_view where) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  for (const Range& range : ranges) {
    if (range.begin != covered)
      bad_input(where,
                fmt::format("expected tensor {} to start at byte {} of the data, got {} ({})",
                            printable(range.name), covered, range.begin,
                            range.begin < covered ? "tensors overlap" : "there is a hole"),
                kRemedy);
    covered = range.end;
  }
  if (covered != n_bytes)
    bad_input(where, fmt::format("expected {} bytes of data, got {}", covered, n_bytes), kRemedy);
}

/// Nobody corrects it by hand.
Json parse_header(std::string_view header, const std::string& where) try {
  // Three levels: the header, a tensor's entry, its shape.
  return parse_json(header, where,
                    {.max_bytes = kMaxHeaderBytes, .max_depth = 3, .unique_keys = true});
} catch (const Error& error) {
  bad_input(where, error.problem(), kRemedy);
}

}  // namespace

SafetensorsContents parse_safetensors(std::span<const std::byte> bytes, std::string_view where) {
  const std::string_view header = header_of(bytes, where);
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + header.size());
  const Json json = parse_header(header, fmt::format("{}: header", where));

  SafetensorsContents contents;
  std::vector<Range> ranges;
  for (const auto& [name, entry] : json.items()) {
    if (name == kMetadataKey) {
      contents.metadata = parse_metadata(entry, fmt::format("{}: {}", where, kMetadataKey));
      continue;
    }
    Range range{0, 0, {}};
    const JsonObject object(entry, fmt::format("{}: tensor {}", where, printable(name)));
    TensorView tensor = parse_tensor(object, data, range);
    range.name = contents.tensors.emplace(name, std::move(tensor)).first->first;
    ranges.push_back(range);
  }
  require_tiling(std::move(ranges), data.size(), where);
  return contents;
}

SafetensorsFile::SafetensorsFile(const fs::path& path)
    : file_(path), contents_(parse_safetensors(file_.bytes(), path.string())) {}

const TensorView& SafetensorsFile::at(std::string_view name) const {
  const auto entry = tensors().find(name);
  if (entry == tensors().end())
    bad_input(path().string(),
              fmt::format("expected a tensor {}; the nearest names are {}", printable(name),
                          nearest_keys(name, tensors())),
              "check that the file belongs to this model or SAE");
  return entry->second;
}

namespace {

/// A string as JSON; `path` is the file being written.
std::string json_string(const fs::path& path, const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    bad_input(path.string(), fmt::format("expected UTF-8 for the header, got {}", printable(text)),
              "correct the name or the metadata");
  }
}

}  // namespace

void write_safetensors(const fs::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> order;
  std::set<std::string_view> names{kMetadataKey};
  for (const NamedTensor& named : tensors) {
    SAFESAIL_CHECK(checked_byte_size(named.tensor.dtype, named.tensor.shape) ==
                   named.tensor.bytes.size());
    SAFESAIL_CHECK(names.insert(named.name).second);
    order.push_back(&named);
  }
  std::stable_sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return size_of(a->tensor.dtype) > size_of(b->tensor.dtype);
  });

  std::vector<std::string> entries;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata)
      pairs.push_back(json_string(path, key) + ":" + json_string(path, value));
    entries.push_back(fmt::format("\"{}\":{{{}}}", kMetadataKey, fmt::join(pairs, ",")));
  }
  std::uint64_t offset = 0;
  for (const NamedTensor* named : order) {
    const std::uint64_t end = offset + named->tensor.bytes.size();
    entries.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  json_string(path, named->name), name_of(named->tensor.dtype),
                                  fmt::join(named->tensor.shape, ","), offset, end));
    offset = end;
  }
  std::string header = fmt::format("{{{}}}", fmt::join(entries, ","));
  header.append((8 - header.size() % 8) % 8, ' ');
  SAFESAIL_CHECK(header.size() <= kMaxHeaderBytes);

  const std::uint64_t length = header.size();
  require_disk(path, kLengthBytes + length + offset, "the tensors");
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const NamedTensor* named : order) file.write(named->tensor.bytes);
  file.commit();
}

}  // namespace safesail
