// What the tensor library runs on: threads, instruction set, GPU.
#pragma once

#include <string>

namespace safesail {

/// CPU threads of every tensor operation from now on; 0: OMP_NUM_THREADS, else one a core;
/// never more than OMP_THREAD_LIMIT. Call once, before the first.
void set_compute_threads(int n);

struct ComputeInfo {
  std::string torch_version, cpu_capability, gpu;
  bool native_bf16 = false;  ///< the CPU multiplies bf16 by itself, several times as fast as f32
};
ComputeInfo compute_info();

}  // namespace safesail
