#include "text/stream_decoder.h"

#include <gtest/gtest.h>

namespace safesail {
namespace {

// Text that needs several tokens a character: what streams out, joined, is what decoding gives.
TEST(StreamDecoder, GivesTheTextOfAllIdsInWholeCharacters) {
  const Tokenizer tokenizer =
      Tokenizer::load(SAFESAIL_SOURCE_DIR "/.deps/models/smollm2-135m-instruct-q4_1.gguf");
  const std::string text = "Naïve café: 数学 и नमस्ते 👩‍🚀!\n  two  spaces";
  const std::vector<std::int32_t> ids = tokenizer.encode(text, false).ids;
  StreamDecoder decoder(tokenizer);
  std::string streamed;
  for (const std::int32_t id : ids) {
    const std::string piece = decoder.add(id);
    EXPECT_EQ(piece.find("\xEF\xBF\xBD"), std::string::npos)
        << "a broken character after " << streamed;
    streamed += piece;
  }
  EXPECT_EQ(streamed + decoder.finish(), text);
}

TEST(StreamDecoder, AnUnfinishedCharacterComesAtTheEnd) {
  const Tokenizer tokenizer =
      Tokenizer::load(SAFESAIL_SOURCE_DIR "/.deps/models/smollm2-135m-instruct-q4_1.gguf");
  std::vector<std::int32_t> ids = tokenizer.encode("👩", false).ids;
  ASSERT_GT(ids.size(), 1u);
  ids.pop_back();
  StreamDecoder decoder(tokenizer);
  for (const std::int32_t id : ids) EXPECT_EQ(decoder.add(id), "");
  EXPECT_EQ(decoder.finish(), tokenizer.decode(ids, true));
}

}  // namespace
}  // namespace safesail
