#include "atlas/blobs.h"

#include <bit>
#include <limits>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxSparse = std::size_t{1} << 24;

[[noreturn]] void damaged(std::string_view where, std::string_view problem) {
  bad_input(where, problem, "the database is damaged: import it or run it again");
}

void put_varint(Blob& blob, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) blob.push_back(static_cast<std::byte>(value | 0x80));
  blob.push_back(static_cast<std::byte>(value));
}

void put_float(Blob& blob, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) blob.push_back(static_cast<std::byte>(bits >> shift));
}

class Reader {
 public:
  Reader(std::span<const std::byte> blob, std::string_view where) : rest_(blob), where_(where) {}

  bool at_end() const { return rest_.empty(); }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(take(1)[0]);
      if (shift == 63 && byte > 1) break;
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    damaged(where_, "a number has more than 64 bits");
  }

  float real() {
    const std::span<const std::byte> bytes = take(4);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 4; ++i) bits |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
    return std::bit_cast<float>(bits);
  }

 private:
  std::span<const std::byte> take(std::size_t n) {
    if (rest_.size() < n) damaged(where_, "the numbers are cut short");
    const std::span<const std::byte> taken = rest_.first(n);
    rest_ = rest_.subspan(n);
    return taken;
  }

  std::span<const std::byte> rest_;
  std::string_view where_;
};

}  // namespace

Blob pack_ids(std::span<const std::int32_t> ids) {
  Blob blob;
  for (const std::int32_t id : ids)
    put_varint(blob, (static_cast<std::uint32_t>(id) << 1) ^ static_cast<std::uint32_t>(id >> 31));
  return blob;
}

std::vector<std::int32_t> unpack_ids(std::span<const std::byte> blob, std::string_view where) {
  std::vector<std::int32_t> ids;
  for (Reader reader(blob, where); !reader.at_end();) {
    const std::uint64_t value = reader.varint();
    if (value > std::numeric_limits<std::uint32_t>::max())
      damaged(where, "a token id is too large");
    const auto zigzag = static_cast<std::uint32_t>(value);
    ids.push_back(static_cast<std::int32_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1)));
  }
  return ids;
}

Blob pack_counts(std::span<const std::uint64_t> counts) {
  Blob blob;
  for (const std::uint64_t count : counts) put_varint(blob, count);
  return blob;
}

std::vector<std::uint64_t> unpack_counts(std::span<const std::byte> blob, std::string_view where) {
  std::vector<std::uint64_t> counts;
  for (Reader reader(blob, where); !reader.at_end();) counts.push_back(reader.varint());
  return counts;
}

Blob pack_offsets(std::span<const std::uint32_t> offsets) {
  Blob blob;
  std::uint32_t last = 0;
  for (const std::uint32_t offset : offsets) {
    SAFESAIL_CHECK(offset >= last);
    put_varint(blob, offset - last);
    last = offset;
  }
  return blob;
}

std::vector<std::uint32_t> unpack_offsets(std::span<const std::byte> blob, std::string_view where) {
  std::vector<std::uint32_t> offsets;
  std::uint64_t last = 0;
  for (Reader reader(blob, where); !reader.at_end();) {
    const std::uint64_t step = reader.varint();
    if (step > std::numeric_limits<std::uint32_t>::max() - last)
      damaged(where, "an offset is too large");
    last += step;
    offsets.push_back(static_cast<std::uint32_t>(last));
  }
  return offsets;
}

Blob pack_sparse(std::span<const float> values) {
  Blob blob;
  std::size_t gap = 0;
  for (const float value : values) {
    if (value == 0) {
      ++gap;
      continue;
    }
    put_varint(blob, gap);
    put_float(blob, value);
    gap = 0;
  }
  return blob;
}

std::vector<float> unpack_sparse(std::span<const std::byte> blob, std::size_t n,
                                 std::string_view where) {
  if (n > kMaxSparse) damaged(where, "more numbers than any window has");
  std::vector<float> values(n);
  std::size_t at = 0;
  for (Reader reader(blob, where); !reader.at_end(); ++at) {
    const std::uint64_t gap = reader.varint();
    if (at >= n || gap >= n - at) damaged(where, "more activations than tokens");
    at += gap;
    values[at] = reader.real();
  }
  return values;
}

Blob pack_floats(std::span<const float> values) {
  Blob blob;
  blob.reserve(4 * values.size());
  for (const float value : values) put_float(blob, value);
  return blob;
}

std::vector<float> unpack_floats(std::span<const std::byte> blob, std::string_view where) {
  std::vector<float> values;
  values.reserve(blob.size() / 4);
  for (Reader reader(blob, where); !reader.at_end();) values.push_back(reader.real());
  return values;
}

}  // namespace safesail
