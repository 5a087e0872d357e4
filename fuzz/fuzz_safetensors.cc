// Whatever a header says, every view must lie inside the file and have the size of its shape.
#include "formats/safetensors.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  return fuzz_one(data, size, [](std::span<const std::byte> bytes) {
    std::uint64_t total = 0;
    for (const auto& [name, tensor] : parse_safetensors(bytes, "fuzz").tensors) {
      SAFESAIL_CHECK(checked_byte_size(tensor.dtype, tensor.shape) == tensor.bytes.size());
      SAFESAIL_CHECK(tensor.bytes.empty() || (tensor.bytes.data() >= bytes.data() &&
                                              &tensor.bytes.back() <= &bytes.back()));
      total += tensor.bytes.size();
    }
    SAFESAIL_CHECK(total <= bytes.size());
  });
}
