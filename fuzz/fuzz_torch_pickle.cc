// The first byte picks: the rest is a .pt file, or a pickle to wrap into one (so that the fuzzer
// need not learn checksums). Every tensor must have the bytes of its shape.
#include <string>
#include <vector>

#include "formats/torch_pickle.h"
#include "formats/unpickler.h"
#include "fuzz_target.h"

namespace {

using namespace safesail;

void check_value(const PickleValue& value, int depth) {
  SAFESAIL_CHECK(depth < 1000);
  SAFESAIL_CHECK(!value.kind().empty());
  if (const auto* tensor = value.as<TensorView>()) {
    SAFESAIL_CHECK(checked_byte_size(tensor->dtype, tensor->shape) == tensor->bytes.size());
    unsigned sum = 0;  // reads every byte, for the sanitizer
    for (const std::byte byte : tensor->bytes) sum += std::to_integer<unsigned>(byte);
    SAFESAIL_CHECK(sum <= 255 * tensor->bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  return fuzz_one(data + 1, size - 1, [&](std::span<const std::byte> bytes) {
    if (data[0] % 2 == 0) {
      const TorchFile file(bytes, "fuzz");
      check_value(file.root(), 0);
      if (const PickleDict* dict = file.root().dict())
        for (const auto& [key, value] : dict->items) check_value(*value, 1);
      return;
    }
    static const std::vector<std::byte> kStorage(256, std::byte{1});
    const FindStorage find_storage = [&](const std::string&, std::uint64_t n_bytes) {
      if (n_bytes > kStorage.size()) bad_input("fuzz", "too large a storage", "none");
      return std::span(kStorage).first(n_bytes);
    };
    const Unpickled result = unpickle(bytes, find_storage, 1 << 20, "fuzz");
    for (const PickleValue& value : result.values) check_value(value, 0);
    std::size_t n_copied = 0;
    for (const auto& copy : result.copies) n_copied += copy.size();
    SAFESAIL_CHECK(n_copied <= 1 << 20);
  });
}
