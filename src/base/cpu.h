// What this CPU can do, and which of its instruction sets our own kernels use.
//
// The kernels are compiled for several instruction sets and take the best one at their first call
// (Highway). choose_kernel_target() must come before that; the rest may be called by any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace safesail {

/// Whether bf16 products run at full speed (AVX-512 BF16).
bool cpu_multiplies_bf16();

/// The instruction sets that this CPU has, best first, in Highway's names: "AVX3_SPR", "AVX2"...
std::vector<std::string> kernel_targets();

/// Kernels use this one of kernel_targets() at best, whatever the CPU could do more; case does not
/// matter. An input error when the CPU does not have it.
void choose_kernel_target(std::string_view name);

}  // namespace safesail
