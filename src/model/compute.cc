#include "model/compute.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <algorithm>
#include <thread>
#include <torch/headeronly/version.h>

namespace safesail {
namespace {

bool multiplies_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

}  // namespace

void set_compute_threads(int n) {
  at::set_num_threads(n > 0 ? n
                            : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

ComputeInfo compute_info() {
  return {.torch_version = TORCH_VERSION,
          .cpu_capability = at::get_cpu_capability(),
          .gpu = at::globalContext().hasCUDA() ? "CUDA" : "none",
          .native_bf16 = multiplies_bf16()};
}

}  // namespace safesail
