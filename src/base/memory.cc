#include "base/memory.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/units.h"

namespace safesail {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

/// The number behind `key` in lines of "key number", or nothing.
std::optional<std::uint64_t> number_of(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  std::string name, rest;
  for (std::uint64_t number = 0; lines >> name >> number; std::getline(lines, rest))
    if (name == key) return number;
  return std::nullopt;
}

/// What a file says that holds a number alone; nothing also where it says "max".
std::optional<std::uint64_t> number_in(const SystemText& read, const std::string& path) {
  std::istringstream text(read(path).value_or(""));
  std::uint64_t number = 0;
  return text >> number ? std::optional(number) : std::nullopt;
}

std::uint64_t meminfo_available(const SystemText& read) {
  const auto kib = number_of(read("/proc/meminfo").value_or(""), "MemAvailable:");
  return kib ? *kib * 1024 : kUnlimited;
}

/// One version of the kernel's interface.
struct CgroupFiles {
  std::string_view mount, limit, used, inactive;
};
constexpr CgroupFiles kV1{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                          "total_inactive_file"};
constexpr CgroupFiles kV2{"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

/// What one group leaves. Files that were read count as used, the weights of a mapped model too;
/// those the kernel lets go of first are as good as free.
std::uint64_t left_in_group(const SystemText& read, const CgroupFiles& files,
                            const std::string& folder) {
  const auto limit = number_in(read, fmt::format("{}/{}", folder, files.limit));
  const auto used = number_in(read, fmt::format("{}/{}", folder, files.used));
  if (!limit || !used) return kUnlimited;
  const std::string stat = read(folder + "/memory.stat").value_or("");
  const std::uint64_t held = *used - std::min(*used, number_of(stat, files.inactive).value_or(0));
  return *limit > held ? *limit - held : 0;
}

/// The least that the group at `path` and those above it leave. In a container the path may be that
/// of the host, of which only the group itself is to be seen, at the mount.
std::uint64_t left_in_groups(const SystemText& read, const CgroupFiles& files, std::string path) {
  if (path.find("..") != path.npos) path.clear();
  std::uint64_t left = kUnlimited;
  for (;;) {
    while (path.ends_with('/')) path.pop_back();
    left = std::min(left, left_in_group(read, files, std::string(files.mount) + path));
    if (path.empty()) return left;
    path.resize(path.rfind('/') == path.npos ? 0 : path.rfind('/'));
  }
}

/// By /proc/self/cgroup, whose lines are "number:controllers:path", the controllers of v2 empty.
std::uint64_t cgroup_available(const SystemText& read) {
  std::uint64_t left = kUnlimited;
  std::istringstream lines(read("/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const bool is_v2 = controllers == ",,";
    if (!is_v2 && controllers.find(",memory,") == controllers.npos) continue;
    left = std::min(left, left_in_groups(read, is_v2 ? kV2 : kV1, line.substr(second + 1)));
  }
  return left;
}

}  // namespace

std::uint64_t available_memory_bytes(const SystemText& read) {
  return std::min(meminfo_available(read), cgroup_available(read));
}

std::uint64_t available_memory_bytes() {
  return available_memory_bytes([](const std::string& path) -> std::optional<std::string> {
    const std::ifstream file(path);
    if (!file) return std::nullopt;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  });
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
