// What memory the machine has left, so that a command can say its need first and refuse politely.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/report.h"

namespace safesail {

/// MemAvailable of the kernel, cut to what the control groups of this process leave it (containers,
/// systemd's MemoryMax; cgroup v1 and v2).
std::uint64_t available_memory_bytes();

/// The text of a file of /proc or /sys, by its path; nothing where there is none.
using SystemText = std::function<std::optional<std::string>(const std::string& path)>;
/// The same of a system whose files say what `read` gives.
std::uint64_t available_memory_bytes(const SystemText& read);

/// Resident size of this process now.
std::uint64_t resident_memory_bytes();

/// Highest resident size of this process so far.
std::uint64_t peak_memory_bytes();

/// Throws unless `needed` bytes are available; `what` names them, `remedy` says how to need less.
void require_memory(std::uint64_t needed, std::string_view what, std::string_view remedy);

struct MemoryPart {
  std::uint64_t bytes = 0;
  std::string use;  ///< "the model's passes"
};

/// Notes what a command will take in all: what the process holds by now, which `held_by` names, and
/// the parts to come; then requires these.
void state_memory(std::string_view held_by, const std::vector<MemoryPart>& parts,
                  std::string_view what, std::string_view remedy, Reporter& reporter);

}  // namespace safesail
