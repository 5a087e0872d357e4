#include "formats/npz.h"

#include <array>
#include <charconv>
#include <cstring>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace safesail {
namespace {

constexpr std::string_view kMagic{"\x93NUMPY", 6};
constexpr std::size_t kMaxHeaderBytes = 1 << 16;
constexpr std::string_view kRemedy = "save the array again with numpy.savez";

struct Kind {
  std::string_view descr;
  DType dtype;
};
// The first spelling of a dtype is the one we write.
constexpr std::array kKinds = {
    Kind{"<f8", DType::f64}, Kind{"<f4", DType::f32}, Kind{"<f2", DType::f16},
    Kind{"<i8", DType::i64}, Kind{"<i4", DType::i32}, Kind{"<i2", DType::i16},
    Kind{"|i1", DType::i8},  Kind{"|u1", DType::u8},  Kind{"|b1", DType::boolean},
    Kind{"i1", DType::i8},   Kind{"u1", DType::u8},   Kind{"?", DType::boolean},
};

struct Header {
  DType dtype = DType::f32;
  bool is_fortran = false;
  std::vector<std::int64_t> shape;
  std::size_t n_bytes = 0;  ///< of the header: the data starts behind it
};

/// The header is a Python dict of three keys; this reads that and no other Python.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& where) : rest_(text), where_(where) {}

  Header read() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !has_descr) {
        header.dtype = dtype();
        has_descr = true;
      } else if (key == "fortran_order" && !has_order) {
        header.is_fortran = boolean();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = shape();
        has_shape = true;
      } else {
        wrong(fmt::format("expected each of descr, fortran_order, shape once, got {}",
                          printable(key)));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty() || !has_descr || !has_order || !has_shape)
      wrong("expected a header of descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void wrong(std::string_view problem) const { bad_input(where_, problem, kRemedy); }

  void skip_space() {
    const std::size_t n = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(std::min(n, rest_.size()));
  }
  bool accept(char c) {
    skip_space();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c))
      wrong(fmt::format("expected '{}' in the header, got {}", c, printable(rest_.substr(0, 20))));
  }

  std::string_view quoted() {
    const char quote = accept('"') ? '"' : (expect('\''), '\'');
    const std::size_t n = rest_.find(quote);
    if (n == rest_.npos) wrong("expected the end of a string in the header");
    const std::string_view text = rest_.substr(0, n);
    rest_.remove_prefix(n + 1);
    return text;
  }

  DType dtype() {
    skip_space();
    if (rest_.starts_with('[')) wrong("expected numbers, got an array of records");
    const std::string_view descr = quoted();
    for (const Kind& kind : kKinds)
      if (kind.descr == descr) return kind.dtype;
    if (descr.starts_with("|O") || descr == "O")
      wrong("expected numbers, got Python objects, which are a pickle");
    if (descr.starts_with('>')) wrong(fmt::format("expected little-endian numbers, got {}", descr));
    wrong(fmt::format("expected <f8 <f4 <f2 <i8 <i4 <i2 |i1 |u1 or |b1, got {}", printable(descr)));
  }

  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true},
                                      std::pair<std::string_view, bool>{"False", false}}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    wrong("expected fortran_order True or False");
  }

  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> dims;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t dim = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dim);
      if (error != std::errc() || dim < 0) wrong("expected a shape of whole numbers");
      rest_.remove_prefix(std::size_t(end - rest_.data()));
      accept('L');  // Python 2 wrote 3L
      dims.push_back(dim);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return dims;
  }

  std::string_view rest_;
  const std::string& where_;
};

/// `start`: the first bytes of a member, enough for its header or all there are.
Header parse_header(std::span<const std::byte> start, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (!text.starts_with(kMagic) || text.size() < 8)
    bad_input(where, "expected a .npy array, got something else", kRemedy);
  const int version = text[6];
  if (version < 1 || version > 3 || text[7] != 0)
    bad_input(where, fmt::format("expected .npy version 1, 2 or 3, got {}.{}", version, +text[7]),
              kRemedy);
  const std::size_t n_length = version == 1 ? 2 : 4;
  std::uint32_t length = 0;
  if (text.size() < 8 + n_length) bad_input(where, "expected a whole header", kRemedy);
  std::memcpy(&length, text.data() + 8, n_length);
  if (length > kMaxHeaderBytes || length > text.size() - 8 - n_length)
    bad_input(
        where,
        fmt::format("expected a whole header of at most {} bytes, got {}", kMaxHeaderBytes, length),
        kRemedy);
  Header header = HeaderReader(text.substr(8 + n_length, length), where).read();
  header.n_bytes = 8 + n_length + length;
  return header;
}

std::string member(std::string_view name) {
  return std::string(name) + ".npy";
}

}  // namespace

NpzFile::NpzFile(const fs::path& path) : NpzFile(std::make_unique<MappedFile>(path)) {}
NpzFile::NpzFile(std::unique_ptr<MappedFile> file)
    : file_(std::move(file)), archive_(file_->bytes(), file_->path().string()) {}
NpzFile::NpzFile(std::span<const std::byte> bytes, std::string where)
    : archive_(bytes, std::move(where)) {}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : archive_.entries())
    if (name.ends_with(".npy")) names.push_back(name.substr(0, name.size() - 4));
  return names;
}

bool NpzFile::contains(std::string_view name) const {
  return archive_.find(member(name)) != nullptr;
}

const TensorView& NpzFile::at(std::string_view name) {
  if (const auto known = arrays_.find(name); known != arrays_.end()) return known->second;
  const std::string entry_name = member(name);
  const std::string where = fmt::format("{}: {}", this->where(), printable(name));
  // The header first: what it says of the size must hold before anything of that size is unpacked.
  const Header header = parse_header(archive_.peek(entry_name, kMaxHeaderBytes + 12), where);
  const auto n_bytes = checked_byte_size(header.dtype, header.shape);
  const ZipEntry& entry = *archive_.find(entry_name);
  if (!n_bytes || *n_bytes != entry.size - header.n_bytes)
    bad_input(where,
              fmt::format("expected data of shape {}, got {} bytes",
                          TensorView{header.dtype, header.shape, {}}.shape_text(),
                          entry.size - header.n_bytes),
              "the file is damaged: fetch it again");

  std::span<const std::byte> bytes;
  if (entry.is_deflated)
    bytes = copies_.emplace_back(archive_.unpack(entry_name, entry.size));
  else
    bytes = archive_.stored(entry_name);
  const StridedTensor tensor{
      header.dtype, header.shape,
      header.is_fortran ? column_major_strides(header.shape) : row_major_strides(header.shape), 0,
      bytes.subspan(header.n_bytes)};
  // At most one more copy of each array.
  TensorView view = contiguous(tensor, copies_, UINT64_MAX, where);
  return arrays_.emplace(name, std::move(view)).first->second;
}

void write_npz(const fs::path& path, std::span<const NamedTensor> arrays) {
  std::uint64_t n_bytes = 0;
  for (const NamedTensor& array : arrays) n_bytes += array.tensor.bytes.size();
  require_disk(path, n_bytes, "the arrays");
  ZipWriter zip(path);
  for (const auto& [name, tensor] : arrays) {
    const Kind* kind = nullptr;
    for (const Kind& known : kKinds)
      if (kind == nullptr && known.dtype == tensor.dtype) kind = &known;
    SAFESAIL_CHECK(kind != nullptr);
    SAFESAIL_CHECK(checked_byte_size(tensor.dtype, tensor.shape) == tensor.bytes.size());
    std::string dims;
    for (const std::int64_t dim : tensor.shape) dims += fmt::format("{}, ", dim);
    std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                     kind->descr, dims);
    // The data starts at a multiple of 64 bytes and the header ends in a newline, as numpy's does.
    constexpr std::size_t kHead = 10;
    header.append(64 - (kHead + header.size() + 1) % 64, ' ');
    header += '\n';
    const auto length = static_cast<std::uint16_t>(header.size());
    std::string bytes = std::string(kMagic) + std::string("\x01\x00", 2);
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length).append(header);
    bytes.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    zip.add(member(name), bytes);
  }
  zip.commit();
}

}  // namespace safesail
