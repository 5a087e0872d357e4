// Numbers of a window as compact blobs: variable-length integers (7 bits a byte, lowest first,
// signs zigzagged) and sparse floats (gap, then four bytes little-endian).
//
// Reading checks every byte: a blob that is cut short, or holds more than it should, is an error
// that names `where`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace safesail {

using Blob = std::vector<std::byte>;

Blob pack_ids(std::span<const std::int32_t> ids);
std::vector<std::int32_t> unpack_ids(std::span<const std::byte> blob, std::string_view where);

Blob pack_counts(std::span<const std::uint64_t> counts);
std::vector<std::uint64_t> unpack_counts(std::span<const std::byte> blob, std::string_view where);

/// Ascending offsets, by their differences. Descending ones are our own bug.
Blob pack_offsets(std::span<const std::uint32_t> offsets);
std::vector<std::uint32_t> unpack_offsets(std::span<const std::byte> blob, std::string_view where);

/// Values that are mostly 0; `n` is how many there were. Reading wants n <= 16 M.
Blob pack_sparse(std::span<const float> values);
std::vector<float> unpack_sparse(std::span<const std::byte> blob, std::size_t n,
                                 std::string_view where);

/// As they are.
Blob pack_floats(std::span<const float> values);
std::vector<float> unpack_floats(std::span<const std::byte> blob, std::string_view where);

}  // namespace safesail
