#include "base/memory.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <limits>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/units.h"

namespace safesail {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

std::uint64_t meminfo_available() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  for (std::uint64_t kib = 0; file >> key >> kib; std::getline(file, unit))
    if (key == "MemAvailable:") return kib * 1024;
  return kUnlimited;
}

/// cgroup v2: limit minus use, or unlimited where there is no such file or it says "max".
std::uint64_t cgroup_available() {
  std::uint64_t limit = 0, used = 0;
  if (!(std::ifstream("/sys/fs/cgroup/memory.max") >> limit)) return kUnlimited;
  if (!(std::ifstream("/sys/fs/cgroup/memory.current") >> used)) return kUnlimited;
  return limit > used ? limit - used : 0;
}

}  // namespace

std::uint64_t available_memory_bytes() {
  return std::min(meminfo_available(), cgroup_available());
}

std::uint64_t resident_memory_bytes() {
  std::uint64_t total_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t peak_memory_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

void require_memory(std::uint64_t needed, std::string_view what, std::string_view remedy) {
  const std::uint64_t available = available_memory_bytes();
  if (needed > available)
    bad_input("memory",
              fmt::format("{} needs {}, {} is available", what, human_bytes(needed),
                          human_bytes(available)),
              remedy);
}

void state_memory(std::string_view held_by, const std::vector<MemoryPart>& parts,
                  std::string_view what, std::string_view remedy, Reporter& reporter) {
  const std::uint64_t held = resident_memory_bytes();
  std::uint64_t to_come = 0;
  std::string uses;
  for (const MemoryPart& part : parts) {
    to_come += part.bytes;
    uses += fmt::format(", {} for {}", human_bytes(part.bytes), part.use);
  }
  reporter.note(fmt::format("memory: {} in all ({} held by {}{})", human_bytes(held + to_come),
                            human_bytes(held), held_by, uses));
  require_memory(to_come, what, remedy);
}

}  // namespace safesail
