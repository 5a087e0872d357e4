// Where tensors live: "cpu", "cuda", "cuda:1". The CUDA half of LibTorch is loaded when it is first
// asked for, so that the program starts and runs on machines that have none.
#pragma once

#include <c10/core/Device.h>
#include <string_view>

namespace safesail {

/// Throws an input error when the name is unknown, an environment error when the CUDA library or
/// the GPU is missing.
at::Device open_device(std::string_view name);

}  // namespace safesail
