// A corpus file of each format. The first byte picks the format, the rest is the file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_target.h"
#include "text/corpus_files.h"
#include "text/utf8.h"

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
