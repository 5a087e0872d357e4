// Parses, then dequantises every tensor: a view outside the file is found by the sanitizer.
#include <vector>

#include "formats/gguf.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  return fuzz_one(data, size, [](std::span<const std::byte> bytes) {
    for (const auto& [name, tensor] : parse_gguf(bytes, "fuzz").tensors) {
      std::vector<float> floats(tensor.n_elements());
      dequantize(tensor, 0, floats);
      std::vector<std::uint16_t> halves(tensor.n_elements());
      dequantize_bf16(tensor, 0, halves);
    }
  });
}
