// For kernel tests: runs a check once for every instruction set that this CPU has.
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>

namespace safesail {

template <class Check>
void for_each_target(Check check) {
  for (std::int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().DeInit();
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
}

}  // namespace safesail
