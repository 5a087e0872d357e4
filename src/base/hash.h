// Fast non-cryptographic hashes (XXH3) for configs, streams and file identity. Not for security.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace safesail {

std::uint64_t hash64(std::string_view bytes);

/// 128 bits as 32 hexadecimal digits.
std::string hash_hex(std::span<const std::byte> bytes);
std::string hash_hex(std::string_view text);

}  // namespace safesail
