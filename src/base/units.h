// Numbers as people read them: bytes, counts, durations.
#pragma once

#include <cstdint>
#include <string>

namespace safesail {

/// 1536 -> "1.5 KiB".
std::string human_bytes(std::uint64_t bytes);

/// 1234567 -> "1.23 M"; 999 -> "999"; 0.62 -> "0.62".
std::string human_count(double count);

/// 75.2 -> "1:15"; 3725 -> "1:02:05".
std::string human_duration(double seconds);

}  // namespace safesail
