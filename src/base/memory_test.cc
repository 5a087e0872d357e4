#include "base/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
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

class Notes final : public Reporter {
 public:
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view,
                std::string_view) override {}
  void note(std::string_view text) override { text_ += text; }
  void warn(std::string_view) override {}
  std::string text_;
};

TEST(Memory, IsStatedBeforeItIsRequired) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
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
