#include "model/text_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "formats/json.h"
#include "model/golden_testing.h"

namespace safesail {
namespace {

// Where config.json names no end of a text, or another than the chat template writes, answers end
// at what the tokenizer's files name.
TEST(TextModel, EndsAtTheTokensOfItsTokenizerToo) {
  const fs::path folder =
      fs::temp_directory_path() / ("safesail_text_model." + std::to_string(::getpid()));
  fs::copy(testing::data_folder() / "qwen2", folder);
  Json tokenizer{{"version", "1.0"}, {"added_tokens", Json::array()}};
  Json vocab{{"?", 0}};
  for (int id = 1; id < 3; ++id) {
    const std::string token = id == 1 ? "<eos>" : "<end>";
    vocab[token] = id;
    tokenizer["added_tokens"].push_back({{"id", id},
                                         {"content", token},
                                         {"single_word", false},
                                         {"lstrip", false},
                                         {"rstrip", false},
                                         {"normalized", false},
                                         {"special", true}});
  }
  tokenizer["model"] = {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", vocab}};
  write_file(folder / "tokenizer.json", tokenizer.dump());
  const std::string chat = "{% for m in messages %}{{ m.content }}<end>{% endfor %}";
  write_file(folder / "tokenizer_config.json",
             Json{{"eos_token", "<eos>"}, {"chat_template", chat}}.dump());
  SilentReporter silent;
  const auto eos = [&] {
    return load_text_model(folder, {ComputeType::f32, "cpu"}, silent).model.spec().eos;
  };
  EXPECT_EQ(eos(), (std::vector<std::int32_t>{198, 1, 2}));
  Json config = read_json(folder / "config.json");
  config.erase("eos_token_id");
  fs::remove(folder / "config.json");
  write_file(folder / "config.json", config.dump());
  EXPECT_EQ(eos(), (std::vector<std::int32_t>{1, 2}));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace safesail
