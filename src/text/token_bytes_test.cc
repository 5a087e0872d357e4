#include "text/token_bytes.h"

#include "base/utf8.h"
#include "text/test_tokenizers.h"

namespace safesail {
namespace {

/// The bytes of the tokens of a text are the text, whatever characters they cut.
void expect_the_text(const Tokenizer& tokenizer, const std::string& text) {
  std::string joined;
  bool cuts = false;
  for (const std::int32_t id : tokenizer.encode(text, false).ids) {
    const std::string bytes = token_bytes(tokenizer, id);
    cuts = cuts || (!bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 0xC0) == 0x80);
    joined += bytes;
  }
  if (joined.starts_with(' ') && !text.starts_with(' ')) joined.erase(0, 1);
  EXPECT_EQ(joined, text);
  EXPECT_TRUE(cuts) << "no token begins inside of a character: nothing was tested";
}

const char* const kText =
    "Naïve café: 数学 и नमस्ते 👩‍🚀 𓂀 𐎠 ꧁ 𒐫!\n  two  spaces\x01";

TEST(TokenBytes, OfAByteLevelVocabularyAreTheText) {
  SAFESAIL_NEED_INSTALLED(smollm2_gguf());
  expect_the_text(Tokenizer::load(smollm2_gguf()), kText);
}

TEST(TokenBytes, OfByteFallbackAreTheText) {
  SAFESAIL_NEED_INSTALLED(tokenizer_folder("gemma3"));
  expect_the_text(Tokenizer::load(tokenizer_folder("gemma3")), kText);
}

TEST(TokenBytes, OfSpecialTokensAreTheirNames) {
  SAFESAIL_NEED_INSTALLED(smollm2_gguf());
  const Tokenizer tokenizer = Tokenizer::load(smollm2_gguf());
  EXPECT_EQ(token_bytes(tokenizer, *tokenizer.id_of("<|im_end|>")), "<|im_end|>");
}

TEST(TokenBytes, AreOfEachTokenThatDecodesToThem) {
  // An independent truth for the whole vocabulary: what decodes without a broken character.
  SAFESAIL_NEED_INSTALLED(smollm2_gguf());
  const Tokenizer tokenizer = Tokenizer::load(smollm2_gguf());
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::int32_t one[] = {id};
    const std::string text = tokenizer.decode(one, false), bytes = token_bytes(tokenizer, id);
    if (text.find("\xEF\xBF\xBD") == text.npos || bytes == "\xEF\xBF\xBD")
      EXPECT_EQ(bytes, text) << id;
    else
      EXPECT_FALSE(is_utf8(bytes)) << id << " is part of a character";
  }
}

}  // namespace
}  // namespace safesail
