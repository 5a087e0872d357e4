#include "base/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace safesail {
namespace {

TEST(Memory, ResidentSizeGrowsWithWhatIsTouched) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const std::uint64_t before = resident_memory_bytes();
  const std::vector<char> touched(kBytes, 1);
  EXPECT_GE(resident_memory_bytes(), before + kBytes * 9 / 10);
  EXPECT_GE(peak_memory_bytes(), resident_memory_bytes() / 2) << touched.back();
}

TEST(Memory, RefusesWhatTheMachineDoesNotHave) {
  EXPECT_NO_THROW(require_memory(1, "a byte", "none"));
  EXPECT_THROW(require_memory(std::uint64_t{1} << 60, "everything", "ask for less"), Error);
}

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::uint64_t available(std::map<std::string, std::string> files) {
  files.emplace("/proc/meminfo",
                "MemTotal:  9000000 kB\nMemAvailable:   8388608 kB\nBuffers: 1 kB\n");
  return available_memory_bytes([&](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(AvailableMemory, IsTheKernelsWithoutALimit) {
  EXPECT_EQ(available({}), 8192 * kMiB);
  EXPECT_EQ(available({{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/memory.max", "max\n"}}),
            8192 * kMiB);
}

TEST(AvailableMemory, FilesThatWereReadAreNotTaken) {
  // 4 GiB in all, 3.5 GiB used, of which 3 GiB are a model's file that was read.
  const std::map<std::string, std::string> files = {
      {"/proc/self/cgroup", "0::/\n"},
      {"/sys/fs/cgroup/memory.max", "4294967296\n"},
      {"/sys/fs/cgroup/memory.current", "3758096384\n"},
      {"/sys/fs/cgroup/memory.stat",
       "anon 500000000\nfile 3300000000\nactive_file 40000000\ninactive_file 3221225472\n"}};
  EXPECT_EQ(available(files), 3584 * kMiB);
}

TEST(AvailableMemory, TheTightestGroupAboveCounts) {
  std::map<std::string, std::string> files = {
      {"/proc/self/cgroup", "0::/user.slice/user-1000.slice/run-7.scope\n"},
      {"/sys/fs/cgroup/user.slice/memory.max", "2147483648\n"},
      {"/sys/fs/cgroup/user.slice/memory.current", "1073741824\n"},
      {"/sys/fs/cgroup/user.slice/user-1000.slice/memory.max", "max\n"},
      {"/sys/fs/cgroup/user.slice/user-1000.slice/memory.current", "1073741824\n"},
      {"/sys/fs/cgroup/user.slice/user-1000.slice/run-7.scope/memory.max", "536870912\n"},
      {"/sys/fs/cgroup/user.slice/user-1000.slice/run-7.scope/memory.current", "1048576\n"}};
  EXPECT_EQ(available(files), 511 * kMiB) << "systemd-run -p MemoryMax=512M";
  files["/sys/fs/cgroup/user.slice/memory.current"] = "2146435072\n";
  EXPECT_EQ(available(files), 1 * kMiB) << "a sibling has taken the rest";
  files["/sys/fs/cgroup/user.slice/memory.current"] = "3147483648\n";
  EXPECT_EQ(available(files), 0u);
}

TEST(AvailableMemory, TheFirstVersionIsReadToo) {
  const std::string limit = "memory.limit_in_bytes", used = "memory.usage_in_bytes",
                    stat = "memory.stat", mount = "/sys/fs/cgroup/memory/",
                    lines = "12:cpu,cpuacct:/docker/abc\n9:memory:/docker/abc\n0::/docker/abc\n";
  // On the host, and in a container, where the host's path is told but its group is the mount.
  for (const std::string& folder : {mount + "docker/abc/", mount})
    EXPECT_EQ(available({{"/proc/self/cgroup", lines},
                         {folder + limit, "1073741824\n"},
                         {folder + used, "943718400\n"},
                         {folder + stat, "inactive_file 1\ntotal_inactive_file 524288000\n"}}),
              624 * kMiB)
        << folder;
  EXPECT_EQ(available({{"/proc/self/cgroup", lines},
                       {mount + limit, "9223372036854771712\n"},
                       {mount + used, "943718400\n"}}),
            8192 * kMiB);
}

TEST(AvailableMemory, NonsenseIsNoLimit) {
  for (const char* lines : {"", "x", "::", "0:", "0::/../../etc\n", "0::///\n", "7:memory:\n"})
    EXPECT_EQ(available({{"/proc/self/cgroup", lines},
                         {"/sys/fs/cgroup/memory.max", "a lot"},
                         {"/sys/fs/cgroup/memory.current", "-1"},
                         {"/sys/fs/cgroup/memory/memory.limit_in_bytes", ""}}),
              8192 * kMiB)
        << lines;
}

class Notes final : public Reporter {
 public:
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view,
                std::string_view) override {}
  void note(std::string_view text) override { text_ += text; }
  void warn(std::string_view) override {}
  std::string text_;
};

TEST(Memory, IsStatedBeforeItIsRequired) {
  Notes notes;
  state_memory("the program", {{3 * kMiB, "books"}, {5 * kMiB, "shelves"}}, "the library",
               "sell some", notes);
  EXPECT_THAT(notes.text_, testing::MatchesRegex(
                               "memory: .* in all \\(.* held by the program, 3\\.0 MiB for books, "
                               "5\\.0 MiB for shelves\\)"));
  notes.text_.clear();
  try {
    state_memory("the program", {{kMiB << 40, "books"}}, "the library", "sell some", notes);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("the library needs"));
    EXPECT_THAT(error.what(), testing::HasSubstr("sell some"));
  }
  EXPECT_THAT(notes.text_, testing::HasSubstr("for books"));
}

}  // namespace
}  // namespace safesail
