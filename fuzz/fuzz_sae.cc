// The bytes as our own sae.safetensors, through the path that users take; what loads must encode.
#include <ATen/ATen.h>

#include "fuzz_target.h"
#include "memory_file.h"
#include "sae/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  return fuzz_one(data, size, [](std::span<const std::byte> bytes) {
    const MemoryFile file(bytes);
    const LoadedSae loaded = load_sae(file.path());
    const SaeSpec& spec = loaded.sae.spec();
    const at::Tensor x = at::ones({2, spec.d_in});
    const SparseCodes codes = loaded.sae.encode(x);
    SAFESAIL_CHECK(codes.n_tokens() == 2 && codes.n_active() <= 2 * spec.n_features);
    SAFESAIL_CHECK(loaded.sae.decode(codes, x).size(1) == spec.d_out);
    verify_sae(file.path());
  });
}
