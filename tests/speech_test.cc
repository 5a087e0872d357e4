// The packaged models speak: greedy continuations that a wrong tokenizer, template, rope or cache
// would turn into noise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/generate.h"
#include "model/text_model.h"
#include "text/chat.h"
#include "workspace.h"

namespace safesail {
namespace {

std::string continue_text(const TextModel& loaded, const std::string& text, bool add_special,
                          std::int64_t n) {
  const std::vector<std::int32_t> prompt = loaded.tokenizer.encode(text, add_special).ids;
  const Generated result = generate(loaded.model, {prompt}, {.max_new_tokens = n}).front();
  return loaded.tokenizer.decode(result.ids, true);
}

/// Share of the characters beyond ASCII that lie in [first, last].
double share_within(const std::string& text, char32_t first, char32_t last) {
  std::size_t inside = 0, all = 0;
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    if ((byte(i) & 0xF0) != 0xE0) continue;
    const auto c = static_cast<char32_t>((byte(i) & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 |
                                         (byte(i + 2) & 0x3F));
    ++all;
    if (c >= first && c <= last) ++inside;
  }
  return all == 0 ? 0 : static_cast<double>(inside) / static_cast<double>(all);
}

TEST(Speech, SmolLm2AnswersAQuestion) {
  SilentReporter silent;
  // In f32: the likeliest first words are .1 apart, which the rounding of bf16 may turn round.
  const TextModel loaded =
      load_text_model(packaged_model(), {.dtype = ComputeType::f32, .device = "cpu"}, silent);
  const std::string prompt =
      render_chat(loaded.tokenizer, {{"user", "What is the capital of France?"}}, true);
  EXPECT_THAT(continue_text(loaded, prompt, false, 24), testing::HasSubstr("Paris"));
}

TEST(Speech, Gemma3ContinuesThreeLanguages) {
  const fs::path path = packaged_model().parent_path() / "gemma3-270m-q4_k_m.gguf";
  if (!fs::exists(path)) GTEST_SKIP() << "make test-full fetches " << path;
  SilentReporter silent;
  const TextModel loaded = load_text_model(path, {}, silent);
  EXPECT_THAT(continue_text(loaded, "The capital of France is", true, 16),
              testing::HasSubstr("France"));
  const std::string chinese = continue_text(loaded, "中国的首都是", true, 16);
  EXPECT_GT(share_within(chinese, 0x4E00, 0x9FFF), 0.6) << chinese;  // the rest is punctuation
  const std::string hindi = continue_text(loaded, "भारत की राजधानी", true, 16);
  EXPECT_THAT(hindi, testing::HasSubstr("दिल्ली"));
  EXPECT_GT(share_within(hindi, 0x0900, 0x097F), 0.9) << hindi;
}

}  // namespace
}  // namespace safesail
