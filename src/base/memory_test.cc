#include "base/memory.h"

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

}  // namespace
}  // namespace safesail
