#include "sae/aligned.h"

#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/units.h"

namespace safesail {

void* allocate_aligned_zeros(std::size_t bytes) {
  constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20;
  if (bytes == 0) return nullptr;
  const std::size_t alignment = bytes >= 2 * kHugePage ? kHugePage : kLine;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) {
    failed("memory", fmt::format("expected {} for an array, got none", human_bytes(bytes)),
           "use fewer features, a smaller batch, or a machine with more memory");
  }
  // A wish: where it is refused, everything works on small pages.
  if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);
  std::memset(memory, 0, rounded);
  return memory;
}

void free_aligned(void* bytes) noexcept {
  std::free(bytes);
}

}  // namespace safesail
