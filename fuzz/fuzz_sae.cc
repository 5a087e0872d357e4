// The bytes as our own sae.safetensors, through the path that users take; what loads must encode.
#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_target.h"
#include "sae/checkpoint.h"

namespace {

/// The bytes as a file that readers can open by its path.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : fd_(::memfd_create("fuzz", 0)) {
    SAFESAIL_CHECK(::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~MemoryFile() { ::close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace

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
