// The bytes as a GGUF file that holds a tokenizer: read as one, and used.
#include "formats/gguf.h"
#include "fuzz_target.h"
#include "memory_file.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  return fuzz_one(data, size, [](std::span<const std::byte> bytes) {
    const MemoryFile file(bytes);
    const Tokenizer tokenizer = Tokenizer::from_gguf(GgufFile(file.path()));
    for (const std::int32_t id : tokenizer.encode("a good <s> day", true).ids)
      SAFESAIL_CHECK(id >= 0 && id < tokenizer.vocab_size());
  });
}
