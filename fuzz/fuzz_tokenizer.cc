// A tokenizer.json and, after an empty line, a tokenizer_config.json; then every use of what was
// built.
#include "fuzz_target.h"
#include "text/tokenizer.h"
#include "text/tokenizer_source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    const std::size_t cut = std::min(text.find("\n\n"), text.size());
    TokenizerSource source;
    source.where = "fuzz";
    source.json = text.substr(0, cut);
    source.config = Json::object();
    if (cut + 2 < text.size()) source.config = parse_json(text.substr(cut + 2), "fuzz");
    if (!source.config.is_object()) return;
    const Tokenizer tokenizer = Tokenizer::from_source(std::move(source));
    const std::string sample = "a good\n  morning <s>नमस्ते\xF0\x9F\x98\x80</s>1234";
    const Encoding encoding = tokenizer.encode(sample, true);
    SAFESAIL_CHECK(encoding.ids.size() == encoding.offsets.size());
    for (const auto& [begin, end] : encoding.offsets)
      SAFESAIL_CHECK(begin <= end && end <= sample.size());
    for (const std::int32_t id : encoding.ids) {
      SAFESAIL_CHECK(id >= 0 && id < tokenizer.vocab_size());
      tokenizer.is_special(id);
      tokenizer.token(id);
    }
    tokenizer.decode(encoding.ids, true);
  });
}
