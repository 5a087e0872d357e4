#include "model/compute.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <algorithm>
#include <torch/headeronly/version.h>

#include "base/cpu.h"

// Of OpenMP, whose omp.h not every compiler that reads this has.
extern "C" int omp_get_max_threads();
extern "C" int omp_get_thread_limit();

namespace safesail {

void set_compute_threads(int n) {
  // Where OpenMP gives fewer threads than were asked for, oneDNN's bf16 products are silently
  // wrong.
  at::set_num_threads(std::min(n > 0 ? n : omp_get_max_threads(), omp_get_thread_limit()));
}

ComputeInfo compute_info() {
  return {.torch_version = TORCH_VERSION,
          .cpu_capability = at::get_cpu_capability(),
          .gpu = at::globalContext().hasCUDA() ? "CUDA" : "none",
          .native_bf16 = cpu_multiplies_bf16()};
}

}  // namespace safesail
