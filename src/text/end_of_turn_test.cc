#include "text/end_of_turn.h"

#include <gtest/gtest.h>

#include "formats/test_files.h"
#include "text/test_tokenizers.h"

namespace safesail {
namespace {

using Ids = std::vector<std::int32_t>;

/// A tokenizer of words with four special tokens, and a chat template.
class EndOfTurn : public testing::Test {
 protected:
  Tokenizer with(const std::string& chat_template) {
    Json added = Json::array();
    for (int id = 2; id < 6; ++id)
      added.push_back({{"id", id},
                       {"content", std::vector{"<eos>", "<user>", "<end>", "<think>"}[id - 2]},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
    write_file(
        folder_ / "tokenizer.json",
        Json{{"version", "1.0"},
             {"added_tokens", added},
             {"pre_tokenizer", {{"type", "Whitespace"}}},
             {"model",
              {{"type", "WordLevel"},
               {"unk_token", "?"},
               {"vocab",
                {{"?", 0}, {"a", 1}, {"<eos>", 2}, {"<user>", 3}, {"<end>", 4}, {"<think>", 5}}}}}}
            .dump());
    Json config{{"eos_token", "<eos>"}};
    if (!chat_template.empty()) config["chat_template"] = chat_template;
    write_file(folder_ / "tokenizer_config.json", config.dump());
    return Tokenizer::load(folder_.path());
  }
  TempFolder folder_;
};

TEST_F(EndOfTurn, IsTheTokenThatTheTemplateWritesBehindAnAnswer) {
  const Tokenizer own = with("{% for m in messages %}<user>{{ m.content }} <end>\n{% endfor %}");
  EXPECT_EQ(end_of_turn(own), 4);
  EXPECT_EQ(end_tokens(own), (Ids{2, 4}));
  const Tokenizer eos = with(
      "{% for m in messages %}{% if m.role == 'user' %}<user>{{ m.content }}{% else %}"
      "<think>{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}");
  EXPECT_EQ(end_of_turn(eos), 2);
}

TEST_F(EndOfTurn, IsNothingWhereTheTemplateWritesNone) {
  for (const char* source :
       {"", "{% for m in messages %}{{ m.content }}\n{% endfor %}",      // no token
        "{% for m in messages %}{{ m.content }} bye <end>{% endfor %}",  // words before it
        "<user>{{ messages[0].content }}<end>",                          // no answers
        "{{ raise_exception('one message only') }}", "{% if %}"})
    EXPECT_EQ(end_tokens(with(source)), (Ids{2})) << source;
}

TEST(EndOfTurnOf, PublishedTokenizers) {
  const std::map<std::string, std::string> tokens{
      {"qwen3", "<|im_end|>"}, {"llama3", "<|eot_id|>"}, {"gemma3", "<end_of_turn>"}};
  for (const auto& [name, token] : tokens) {
    const fs::path folder = tokenizer_folder(name);
    SAFESAIL_NEED_INSTALLED(folder);
    const Tokenizer tokenizer = Tokenizer::load(folder);
    ASSERT_TRUE(end_of_turn(tokenizer).has_value()) << name;
    EXPECT_EQ(tokenizer.token(*end_of_turn(tokenizer)), token);
  }
}

}  // namespace
}  // namespace safesail
