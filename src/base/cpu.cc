#include "base/cpu.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdint>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hwy/targets.h>

#include "base/error.h"

namespace safesail {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, {}, [](unsigned char c) { return std::toupper(c); },
      [](unsigned char c) { return std::toupper(c); });
}

// Calls visit(target) for every instruction set, best (lowest bit) first.
template <class Visit>
void for_each_target(Visit visit) {
  for (std::int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1)
    visit(left & -left);
}

std::atomic<bool> is_held_back = false;

bool has_bf16() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
#else
  return false;
#endif
}

}  // namespace

bool cpu_multiplies_bf16() {
  static const bool has = has_bf16();
  return has && !is_held_back;
}

std::vector<std::string> kernel_targets() {
  std::vector<std::string> names;
  for_each_target([&](std::int64_t target) { names.emplace_back(hwy::TargetName(target)); });
  return names;
}

void choose_kernel_target(std::string_view name) {
  hwy::DisableTargets(0);
  std::int64_t chosen = 0;
  for_each_target([&](std::int64_t target) {
    if (same_name(hwy::TargetName(target), name)) chosen = target;
  });
  if (chosen == 0) {
    bad_input("SAFESAIL_CPU_TARGET",
              fmt::format("expected one that this CPU has ({}), got '{}'",
                          fmt::join(kernel_targets(), ", "), name.substr(0, 40)),
              "name one of them, or leave the variable unset");
  }
  const std::int64_t better = hwy::SupportedTargets() & (chosen - 1);
  hwy::DisableTargets(better);
  is_held_back = better != 0;
  hwy::GetChosenTarget().DeInit();
}

}  // namespace safesail
