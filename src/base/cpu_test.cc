#include "base/cpu.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "base/error.h"

namespace safesail {
namespace {

// Not the real list afterwards: undone at the end.
TEST(Cpu, KernelsCanBeHeldToALesserTarget) {
  const std::vector<std::string> all = kernel_targets();
  ASSERT_FALSE(all.empty());
  for (std::size_t i = 0; i < all.size(); ++i) {
    choose_kernel_target(all[i]);
    EXPECT_EQ(kernel_targets(),
              std::vector<std::string>(all.begin() + std::ptrdiff_t(i), all.end()));
    hwy::DisableTargets(0);
  }
  std::string lower = all.back();
  for (char& c : lower) c = char(std::tolower(static_cast<unsigned char>(c)));
  EXPECT_NO_THROW(choose_kernel_target(lower));
  hwy::DisableTargets(0);
  hwy::GetChosenTarget().DeInit();
  EXPECT_EQ(kernel_targets(), all);
}

TEST(Cpu, AnUnknownTargetIsRefusedWithTheList) {
  for (const char* name : {"", "AVX9", "AVX"}) {
    try {
      choose_kernel_target(name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_NE(std::string(error.what()).find(kernel_targets().front()), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace safesail
