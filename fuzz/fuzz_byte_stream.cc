// The lines of a plain or packed file, however it is damaged. Unpacked bytes are cut at 64 MiB: a
// small file may rightly unpack to gigabytes.
#include "formats/line_reader.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  constexpr std::size_t kMaxLineBytes = 100'000;
  return fuzz_one(data, size, [](std::span<const std::byte> bytes) {
    LineReader lines(ByteStream(bytes, "fuzz"), kMaxLineBytes);
    std::size_t n_bytes = 0;
    while (const auto line = lines.next()) {
      SAFESAIL_CHECK(line->size() <= kMaxLineBytes);
      SAFESAIL_CHECK(line->find('\n') == line->npos);
      n_bytes += line->size() + 1;
      if (n_bytes > (std::size_t{64} << 20)) break;
    }
  });
}
