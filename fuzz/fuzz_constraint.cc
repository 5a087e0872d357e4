// Any bytes as a form of answers (the first of them says which kind), and what they choose of it:
// something may always follow, what may follow is taken, and it ends within its limits.
#include <bit>

#include "fuzz_target.h"
#include "text/constraint.h"

namespace {

using namespace safesail;

constexpr std::int32_t kEnd = 256;

const ConstraintVocabulary& vocabulary() {
  static const ConstraintVocabulary made = [] {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* text : {"", "{\"", "\":", "true", "  ", "\n", "12", "\xE4\xBD"})
      tokens.emplace_back(text);
    const std::vector<std::int32_t> ends{kEnd};
    return ConstraintVocabulary(tokens, ends);
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    const ConstraintSource source{static_cast<ConstraintSource::Kind>(data[0] % 3),
                                  {reinterpret_cast<const char*>(data) + 1, size - 1}};
    Constraint constraint(vocabulary(), source, "fuzz");
    for (std::size_t n = 0; n < 40 && !constraint.is_over(); ++n) {
      std::vector<std::int32_t> ids;
      const std::span<const std::uint32_t> bits = constraint.allowed();
      for (std::size_t word = 0; word < bits.size(); ++word)
        for (std::uint32_t left = bits[word]; left != 0; left &= left - 1)
          ids.push_back(static_cast<std::int32_t>(32 * word) + std::countr_zero(left));
      SAFESAIL_CHECK(!ids.empty());
      const std::int32_t id = ids[(data[n % size] + 31 * n) % ids.size()];
      if (id == kEnd) break;
      constraint.take(id);
    }
  });
}
