// For tests: every instruction set that the kernels were compiled for and this CPU has.
#pragma once

#include <functional>
#include <gtest/gtest.h>
#include <hwy/highway.h>

namespace safesail::testing {

/// Runs `body` with Highway's dispatch pinned to each set in turn.
inline void on_each_instruction_set(const std::function<void()>& body) {
  const auto pin = [](std::int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  };
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    pin(target);
    body();
  }
  pin(0);
}

}  // namespace safesail::testing
