// What this CPU can do, and which of its instruction sets our own kernels use.
//
// The kernels are compiled for several instruction sets and take the best one at their first call
// (Highway). choose_kernel_target() must come before that; the rest may be called by any thread.
// LibTorch's own products, of f32, are not ours to choose: ATEN_CPU_CAPABILITY and
// ONEDNN_MAX_CPU_ISA.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace safesail {

/// Whether bf16 products run at full speed (AVX-512 BF16), and are not held back by a lesser target
/// than the best. AMX is looked for only where this is true.
bool cpu_multiplies_bf16();

/// The instruction sets that this CPU has, best first, in Highway's names: "AVX3_SPR", "AVX2"...
std::vector<std::string> kernel_targets();

/// Kernels use this one of the CPU's instruction sets at best, whatever it could do more, and
/// products no bf16 instructions where it is not the best; the last call counts. Case does not
/// matter. An input error when the CPU does not have it.
void choose_kernel_target(std::string_view name);

}  // namespace safesail
