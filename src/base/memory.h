// What memory the machine has left, so that a command can say its need first and refuse politely.
#pragma once

#include <cstdint>
#include <string_view>

namespace safesail {

/// MemAvailable of the kernel, cut to the cgroup's limit where there is one.
std::uint64_t available_memory_bytes();

/// Resident size of this process now.
std::uint64_t resident_memory_bytes();

/// Highest resident size of this process so far.
std::uint64_t peak_memory_bytes();

/// Throws unless `needed` bytes are available; `what` names them, `remedy` says how to need less.
void require_memory(std::uint64_t needed, std::string_view what, std::string_view remedy);

}  // namespace safesail
