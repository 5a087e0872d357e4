# LibTorch, imported by hand: the PyPI wheel is a CUDA build whose own TorchConfig.cmake wants a CUDA
# toolkit even where nothing CUDA is linked. scripts/setup.sh leaves the folders in .deps/.
#   SAFESAIL_TORCH_DIR  a folder with include/ and lib/ (a `torch` package folder)
#   SAFESAIL_CUDART_DIR a folder with libcudart.so.13 and libcupti.so.13 (small; no GPU needed)
include(${CMAKE_SOURCE_DIR}/.deps/torch.cmake OPTIONAL)  # written by scripts/setup.sh
set(SAFESAIL_TORCH_DIR "${CMAKE_SOURCE_DIR}/.deps/torch" CACHE PATH "torch package folder")
set(SAFESAIL_CUDART_DIR "${CMAKE_SOURCE_DIR}/.deps/cudart" CACHE PATH "CUDA runtime libraries")

if(NOT EXISTS "${SAFESAIL_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no libtorch_cpu.so in ${SAFESAIL_TORCH_DIR}/lib: run scripts/setup.sh")
endif()

# One OpenMP runtime for libtorch and for us: the one that the wheel brings, else the compiler's.
file(GLOB SAFESAIL_GOMP ${SAFESAIL_TORCH_DIR}/lib/libgomp*.so*)
if(NOT SAFESAIL_GOMP)
  set(SAFESAIL_GOMP gomp)
endif()

# Linked by every room that stands on tensors; the headers (safesail_aten) only by sources that include them.
add_library(safesail_torch INTERFACE)
target_link_libraries(safesail_torch INTERFACE
  ${SAFESAIL_TORCH_DIR}/lib/libtorch_cpu.so ${SAFESAIL_TORCH_DIR}/lib/libc10.so ${SAFESAIL_GOMP})
target_link_options(safesail_torch INTERFACE
  -Wl,--disable-new-dtags -Wl,-rpath,${SAFESAIL_TORCH_DIR}/lib -Wl,-rpath,${SAFESAIL_CUDART_DIR}
  -Wl,-rpath-link,${SAFESAIL_CUDART_DIR})

add_library(safesail_aten INTERFACE)
# After the system's headers: the wheel brings those of a newer fmt, which would have to be compiled into every file.
target_compile_options(safesail_aten INTERFACE
  "SHELL:-idirafter ${SAFESAIL_TORCH_DIR}/include" "SHELL:-idirafter ${SAFESAIL_TORCH_DIR}/include/torch/csrc/api/include")
# at::parallel_for is OpenMP in headers. clang serves clang-tidy alone and brings no omp.h of its own.
target_compile_options(safesail_aten INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fopenmp>)
target_link_libraries(safesail_aten INTERFACE safesail_torch)
