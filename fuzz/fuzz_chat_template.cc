// Any bytes as a chat template: it ends within its fuel, or in an Error, and the messages stand
// inside what it gave.
#include "fuzz_target.h"
#include "text/chat_ranges.h"
#include "text/tokenizer_source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    TokenizerSource source;
    source.where = "fuzz";
    source.json = R"({"version": "1.0", "added_tokens": [],
        "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "<s>": 1}}})";
    source.config = {{"bos_token", "<s>"}};
    source.chat_template.emplace(reinterpret_cast<const char*>(data), size);
    const Tokenizer tokenizer = Tokenizer::from_source(std::move(source));
    const RenderedChat chat = render_chat_with_ranges(
        tokenizer, {{"system", "be brief"}, {"user", " hi\n"}, {"assistant", "<b>"}}, true);
    std::size_t end = 0;
    for (const MessageRange& range : chat.ranges) {
      SAFESAIL_CHECK(range.message < 3 && end <= range.begin && range.begin < range.end);
      end = range.end;
    }
    SAFESAIL_CHECK(end <= chat.text.size());
  });
}
