#include "base/cpu.h"

#include <algorithm>
#include <cctype>
#include <gtest/gtest.h>
#include <vector>

#include "base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "base/cpu_test.cc"
#include <hwy/foreach_target.h>
// After foreach_target, which defines what it needs.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace safesail {
namespace HWY_NAMESPACE {

/// A kernel that tells which instruction set runs.
std::int64_t own_target() {
  return HWY_TARGET;
}

}  // namespace HWY_NAMESPACE
}  // namespace safesail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace safesail {
namespace {

HWY_EXPORT(own_target);

TEST(Cpu, KernelsRunOnTheTargetThatWasChosen) {
  const std::vector<std::string> all = kernel_targets();
  const bool multiplies_bf16 = cpu_multiplies_bf16();
  std::vector<std::int64_t> ran;
  for (const std::string& name : all) {
    choose_kernel_target(name);
    ran.push_back(HWY_DYNAMIC_DISPATCH(own_target)());
    // Not every set that a CPU has was compiled: then the next lesser one runs.
    const std::int64_t compiled = HWY_TARGETS & hwy::SupportedTargets();
    EXPECT_EQ(ran.back(), compiled & -compiled) << name;
    EXPECT_EQ(cpu_multiplies_bf16(), multiplies_bf16 && name == all.front()) << name;
  }
  EXPECT_NE(ran.front(), ran.back()) << "the best and the least";
  choose_kernel_target(all.front());
  EXPECT_EQ(HWY_DYNAMIC_DISPATCH(own_target)(), ran.front());
  EXPECT_EQ(cpu_multiplies_bf16(), multiplies_bf16);
}

TEST(Cpu, TargetsAreKnownInAnyCase) {
  const std::vector<std::string> all = kernel_targets();
  ASSERT_FALSE(all.empty());
  std::string lower = all.back();
  for (char& c : lower) c = char(std::tolower(static_cast<unsigned char>(c)));
  EXPECT_NO_THROW(choose_kernel_target(lower));
  EXPECT_EQ(kernel_targets(), std::vector<std::string>{all.back()});
  EXPECT_NO_THROW(choose_kernel_target(all.front())) << "the last call counts";
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

#endif  // HWY_ONCE
