// Reading GGUF: preamble, metadata, tensor list, and where each tensor lies. The file is hostile:
// nothing is believed before it is compared with the bytes that are left.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/json.h"

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

namespace safesail {
namespace {

constexpr std::string_view kRefetch = "the file is damaged or cut short: fetch it again";
constexpr std::uint64_t kMaxNameBytes = 65535;
// Some ten times the merges of the largest vocabularies.
constexpr std::uint64_t kMaxArrayItems = 16'777'216;
constexpr std::uint32_t kMaxDims = 4;

/// Ids of metadata value types.
enum class ValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

/// Walks through the bytes of a file; every read is checked against what is left.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view where) : bytes_(bytes), where_(where) {}

  std::string_view where() const { return where_; }
  std::uint64_t position() const { return position_; }
  std::uint64_t n_left() const { return bytes_.size() - position_; }

  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::string string(std::string_view what, std::uint64_t max_bytes) {
    const auto length = number<std::uint64_t>(what);
    if (length > max_bytes)
      bad_input(where_,
                fmt::format("expected {} of at most {} bytes, got {} at byte {}", what, max_bytes,
                            length, position_),
                kRefetch);
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// A count of items of which each takes at least `min_bytes` of the file: believed only when they
  /// fit, so that no reader reserves memory for items that cannot be there.
  std::uint64_t count(std::string_view what, std::uint64_t min_bytes) {
    const auto n = number<std::uint64_t>(what);
    if (n > n_left() / min_bytes)
      bad_input(where_,
                fmt::format("expected {} that fits the {} bytes left, got {} at byte {}", what,
                            n_left(), n, position_),
                kRefetch);
    return n;
  }

 private:
  std::span<const std::byte> take(std::uint64_t n, std::string_view what) {
    if (n > n_left())
      bad_input(where_,
                fmt::format("expected {} of {} bytes at byte {}, got the end of the file after {}",
                            what, n, position_, n_left()),
                kRefetch);
    const auto bytes = bytes_.subspan(position_, n);
    position_ += n;
    return bytes;
  }

  std::span<const std::byte> bytes_;
  std::string_view where_;
  std::uint64_t position_ = 0;
};

/// Calls body(T{}) with the C++ type behind a numeric value type; false for the others.
template <class Body>
bool with_number(ValueType type, Body body) {
  switch (type) {
    case ValueType::u8:
      return body(std::uint8_t{}), true;
    case ValueType::i8:
      return body(std::int8_t{}), true;
    case ValueType::u16:
      return body(std::uint16_t{}), true;
    case ValueType::i16:
      return body(std::int16_t{}), true;
    case ValueType::u32:
      return body(std::uint32_t{}), true;
    case ValueType::i32:
      return body(std::int32_t{}), true;
    case ValueType::u64:
      return body(std::uint64_t{}), true;
    case ValueType::i64:
      return body(std::int64_t{}), true;
    case ValueType::f32:
      return body(float{}), true;
    case ValueType::f64:
      return body(double{}), true;
    case ValueType::boolean:
      return body(bool{}), true;
    default:
      return false;
  }
}

/// One number, widened: integers to int64, floats to double, bool kept.
template <class T>
auto read_number(Cursor& cursor, const std::string& what) {
  if constexpr (std::is_same_v<T, bool>) {
    const auto value = cursor.number<std::uint8_t>(what);
    if (value > 1)
      bad_input(cursor.where(), fmt::format("expected {} to be 0 or 1, got {}", what, value),
                kRefetch);
    return value == 1;
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(cursor.number<T>(what));
  } else {
    const T value = cursor.number<T>(what);
    if (!std::in_range<std::int64_t>(value))
      bad_input(cursor.where(), fmt::format("expected {} below 2^63, got {}", what, value),
                kRefetch);
    return static_cast<std::int64_t>(value);
  }
}

[[noreturn]] void unknown_value_type(const Cursor& cursor, const std::string& what,
                                     ValueType type) {
  bad_input(cursor.where(),
            fmt::format("expected a known value type for {}, got id {}", what,
                        static_cast<std::uint32_t>(type)),
            "convert the model again with a current llama.cpp");
}

GgufValue read_array(Cursor& cursor, const std::string& what) {
  const auto type = static_cast<ValueType>(cursor.number<std::uint32_t>(what));
  if (type == ValueType::array)
    bad_input(cursor.where(), fmt::format("expected a flat array for {}, got a nested one", what),
              "remove that key from the file; no known model uses nested arrays");
  GgufValue value;
  const auto n_items = [&](std::uint64_t min_bytes) {
    const std::uint64_t n = cursor.count(what, min_bytes);
    if (n > kMaxArrayItems)
      bad_input(cursor.where(),
                fmt::format("expected at most {} items in {}, got {}", kMaxArrayItems, what, n),
                kRefetch);
    return n;
  };
  if (type == ValueType::string) {
    std::vector<std::string> items(n_items(sizeof(std::uint64_t)));
    for (std::string& item : items) item = cursor.string(what, cursor.n_left());
    return items;
  }
  const bool known = with_number(type, [&]<class T>(T) {
    using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;
    std::vector<Wide> items(n_items(sizeof(T)));
    for (Wide& item : items) item = read_number<T>(cursor, what);
    value = std::move(items);
  });
  if (!known) unknown_value_type(cursor, what, type);
  return value;
}

GgufValue read_value(Cursor& cursor, const std::string& what) {
  const auto type = static_cast<ValueType>(cursor.number<std::uint32_t>(what));
  if (type == ValueType::string) return std::string(cursor.string(what, cursor.n_left()));
  if (type == ValueType::array) return read_array(cursor, what);
  GgufValue value;
  const bool known = with_number(type, [&]<class T>(T) { value = read_number<T>(cursor, what); });
  if (!known) unknown_value_type(cursor, what, type);
  return value;
}

void check_preamble(Cursor& cursor) {
  const auto magic = cursor.number<std::array<char, 4>>("the magic number");
  if (std::string_view(magic.data(), 4) != "GGUF")
    bad_input(cursor.where(),
              fmt::format("expected a file that starts with \"GGUF\", got {}",
                          printable({magic.data(), 4})),
              "check that this is a GGUF model");
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version == 2 || version == 3) return;
  if (version != 0 && (version & 0xffff) == 0)
    bad_input(cursor.where(), "expected a little-endian file, got a big-endian one",
              "convert it with gguf_convert_endian.py of llama.cpp");
  bad_input(cursor.where(), fmt::format("expected GGUF version 2 or 3, got {}", version),
            "convert the model again with a current llama.cpp");
}

/// A tensor's entry in the header; its bytes are not known yet.
struct TensorInfo {
  GgufTensor tensor;
  std::uint64_t offset = 0, n_bytes = 0;
};

GgmlType read_tensor_type(Cursor& cursor, const std::string& what) {
  const auto number = cursor.number<std::uint32_t>(what);
  const std::optional<GgmlType> type = ggml_type_numbered(number);
  if (!type)
    bad_input(cursor.where(),
              fmt::format("{}: expected one of {}, got {}", what, known_ggml_types(),
                          ggml_type_text(number)),
              "take the Q8_0, Q4_K_M or F16 file of the model, or make it with llama-quantize");
  return *type;
}

TensorInfo read_tensor_info(Cursor& cursor) {
  TensorInfo info;
  info.tensor.name = cursor.string("a tensor name", kMaxNameBytes);
  const std::string what = fmt::format("tensor {}", printable(info.tensor.name));
  const auto bad = [&](const std::string& expected_and_got) {
    bad_input(cursor.where(), fmt::format("{}: {}", what, expected_and_got), kRefetch);
  };
  const auto n_dims = cursor.number<std::uint32_t>(what);
  if (n_dims < 1 || n_dims > kMaxDims)
    bad(fmt::format("expected 1 to {} dimensions, got {}", kMaxDims, n_dims));
  std::int64_t n_elements = 1;
  for (std::uint32_t i = 0; i < n_dims; ++i) {
    const auto dim = static_cast<std::int64_t>(cursor.number<std::uint64_t>(what));
    if (dim < 1 || __builtin_mul_overflow(n_elements, dim, &n_elements))
      bad(fmt::format("expected dimensions that can be counted, got {}",
                      static_cast<std::uint64_t>(dim)));
    // The file has the innermost dimension first.
    info.tensor.shape.insert(info.tensor.shape.begin(), dim);
  }
  info.tensor.type = read_tensor_type(cursor, what);
  const GgmlBlock block = block_of(info.tensor.type);
  if (info.tensor.shape.back() % block.elements != 0)
    bad(fmt::format("expected rows of whole {} blocks of {}, got {} columns",
                    name_of(info.tensor.type), block.elements, info.tensor.shape.back()));
  std::int64_t n_bytes = 0;
  if (__builtin_mul_overflow(n_elements / block.elements, block.bytes, &n_bytes))
    bad("expected a size that can be counted, got an overflow");
  info.n_bytes = static_cast<std::uint64_t>(n_bytes);
  info.offset = cursor.number<std::uint64_t>(what);
  return info;
}

std::uint64_t alignment_of(const GgufContents& contents, std::string_view where) {
  const auto entry = contents.metadata.find("general.alignment");
  if (entry == contents.metadata.end()) return 32;
  const auto* value = std::get_if<std::int64_t>(&entry->second);
  if (value == nullptr || *value < 1 || *value > (1 << 24) ||
      !std::has_single_bit(static_cast<std::uint64_t>(*value)))
    bad_input(where,
              "expected general.alignment to be a power of two up to 2^24, got another value",
              kRefetch);
  return static_cast<std::uint64_t>(*value);
}

/// Refuses one part of a split model early: its missing tensors would be a riddle later.
void require_whole(const GgufContents& contents, std::string_view where) {
  const auto entry = contents.metadata.find("split.count");
  if (entry == contents.metadata.end()) return;
  const auto* count = std::get_if<std::int64_t>(&entry->second);
  if (count != nullptr && *count > 1)
    bad_input(where, fmt::format("expected a whole model, got one of {} parts", *count),
              "join the parts with llama-gguf-split --merge");
}

/// Gives every tensor its bytes; they must be aligned, inside the file, and apart from each other.
void place_tensors(std::vector<TensorInfo>& infos, std::span<const std::byte> data,
                   std::uint64_t alignment, std::string_view where) {
  std::sort(infos.begin(), infos.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
  std::uint64_t end = 0;
  for (TensorInfo& info : infos) {
    const auto bad = [&](const std::string& problem) {
      bad_input(where, fmt::format("tensor {}: {}", printable(info.tensor.name), problem),
                kRefetch);
    };
    if (info.offset % alignment != 0)
      bad(fmt::format("expected an offset aligned to {}, got {}", alignment, info.offset));
    if (info.offset > data.size() || info.n_bytes > data.size() - info.offset)
      bad(fmt::format(
          "expected {} bytes at {} within the {} bytes of data, got the end of the file",
          info.n_bytes, info.offset, data.size()));
    if (info.offset < end)
      bad(fmt::format("expected an offset of at least {}, got {} (tensors overlap)", end,
                      info.offset));
    end = info.offset + info.n_bytes;
    info.tensor.bytes = data.subspan(info.offset, info.n_bytes);
  }
}

}  // namespace

GgufContents parse_gguf(std::span<const std::byte> bytes, std::string_view where) {
  Cursor cursor(bytes, where);
  check_preamble(cursor);
  // The least a tensor's entry takes: name length, dimension count, one dimension, type, offset.
  // The least a key takes: its length, its type, one byte of value.
  const std::uint64_t n_tensors = cursor.count("the number of tensors", 8 + 4 + 8 + 4 + 8);
  const std::uint64_t n_keys = cursor.count("the number of keys", 8 + 4 + 1);

  GgufContents contents;
  for (std::uint64_t i = 0; i < n_keys; ++i) {
    std::string key(cursor.string("a key", kMaxNameBytes));
    const std::string what = fmt::format("key {}", printable(key));
    GgufValue value = read_value(cursor, what);
    if (!contents.metadata.emplace(std::move(key), std::move(value)).second)
      bad_input(where, fmt::format("expected {} once, got it twice", what), kRefetch);
  }
  require_whole(contents, where);

  std::vector<TensorInfo> infos;
  infos.reserve(n_tensors);
  for (std::uint64_t i = 0; i < n_tensors; ++i) infos.push_back(read_tensor_info(cursor));

  const std::uint64_t alignment = alignment_of(contents, where);
  const std::uint64_t padding = (alignment - cursor.position() % alignment) % alignment;
  const std::uint64_t data_start =
      std::min<std::uint64_t>(cursor.position() + padding, bytes.size());
  place_tensors(infos, bytes.subspan(data_start), alignment, where);
  for (TensorInfo& info : infos) {
    const auto [entry, is_new] = contents.tensors.try_emplace(info.tensor.name, info.tensor);
    if (!is_new)
      bad_input(where,
                fmt::format("expected tensor {} once, got it twice", printable(entry->first)),
                kRefetch);
  }
  return contents;
}

}  // namespace safesail
