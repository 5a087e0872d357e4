// A corpus file of each format. The first byte picks the format, the rest is the file.

#include "base/utf8.h"
#include "fuzz_target.h"
#include "memory_file.h"
#include "text/corpus_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  if (size == 0) return 0;
  return fuzz_one(data + 1, size - 1, [&](std::span<const std::byte> bytes) {
    const MemoryFile file(bytes);
    CorpusConfig config;
    config.document_per_line = data[0] & 4;
    const auto reader = data[0] % 3 == 0   ? open_parquet(file.path(), config, nullptr)
                        : data[0] % 3 == 1 ? open_jsonl(file.path(), config, nullptr)
                                           : open_plain_text(file.path(), config);
    while (const auto item = reader->next())
      if (item->bad.empty()) SAFESAIL_CHECK(is_utf8(item->text) && !item->text.empty());
  });
}
