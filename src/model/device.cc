#include "model/device.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <charconv>
#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>
#include <string>

#include "base/error.h"

namespace safesail {
namespace {

/// The folder of libtorch_cpu.so, in which the CUDA half lies too.
std::filesystem::path torch_folder() {
  Dl_info info{};
  const auto* symbol = reinterpret_cast<const void*>(&at::get_num_threads);
  if (::dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

void load_cuda() {
  if (at::hasCUDA()) return;
  // Its static initialisers register the CUDA kernels; it must stay loaded, and visible to them.
  const std::filesystem::path library = torch_folder() / "libtorch_cuda.so";
  if (::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = ::dlerror();
    failed("device cuda",
           fmt::format("cannot load {}: {}", library.string(), reason == nullptr ? "" : reason),
           "install the CUDA build of torch with its nvidia-* packages, or use --device cpu");
  }
}

/// LibTorch's MKL picks the kernel of exp, log... at the first call, and one that is right to four
/// digits only where several threads make that call at once (pytorch/pytorch#188792). So one thread
/// makes it, on one value.
void settle_vector_math() {
  [[maybe_unused]] static const float settled = [] {
    const at::Tensor one = at::ones(1);
    return (one.exp() + one.log() + one.sqrt() + one.tanh()).item<float>();
  }();
}

}  // namespace

at::Device open_device(std::string_view name) {
  if (name == "cpu") {
    settle_vector_math();
    return at::Device(at::kCPU);
  }
  std::string_view digits = "0";
  if (name.starts_with("cuda:"))
    digits = name.substr(5);
  else if (name != "cuda")
    digits = "";
  int index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || index < 0)
    bad_input("device", fmt::format("expected cpu, cuda or cuda:N, got \"{}\"", name),
              "use --device cpu or --device cuda");
  load_cuda();
  const auto count = static_cast<int>(at::detail::getCUDAHooks().deviceCount());
  if (index >= count)
    failed(fmt::format("device {}", name), fmt::format("this machine has {} usable GPUs", count),
           "choose a lower number, check the driver with nvidia-smi, or use --device cpu");
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

}  // namespace safesail
