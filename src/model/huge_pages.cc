#include "model/huge_pages.h"

#include <ATen/ATen.h>
#include <cstdlib>
#include <fmt/format.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/round_up.h"
#include "base/units.h"

namespace safesail {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

at::Tensor empty_on_huge_pages(at::IntArrayRef shape, at::ScalarType dtype) {
  std::size_t bytes = c10::elementSize(dtype);
  for (const std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
  if (bytes < kHugePage) return at::empty(shape, dtype);
  // Whole pages, so that the advice reaches the last byte; pages never touched are never backed.
  const std::size_t rounded = round_up(bytes, kHugePage);
  void* data = std::aligned_alloc(kHugePage, rounded);
  if (data == nullptr)
    failed("memory", fmt::format("cannot allocate {}", human_bytes(bytes)),
           "close other programs, or use a smaller model or batch");
  (void)::madvise(data, rounded, MADV_HUGEPAGE);
  return at::from_blob(
      data, shape, [](void* p) { std::free(p); }, at::dtype(dtype));
}

}  // namespace safesail
