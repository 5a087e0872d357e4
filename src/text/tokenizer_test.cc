// Real tokenizers against what transformers makes of the hard strings
// (scripts/golden/make_tokenizer_golden.py).
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <thread>

#include "base/error.h"
#include "formats/test_files.h"
#include "text/test_tokenizers.h"

namespace safesail {
namespace {

using testing::HasSubstr;

std::vector<std::int32_t> ids_in(const Json& json) {
  return json.get<std::vector<std::int32_t>>();
}

/// "index 3: expected 17, got 18", or "" when equal.
template <class T>
std::string first_difference(const std::vector<T>& expected, const std::vector<T>& got) {
  for (std::size_t i = 0; i < std::max(expected.size(), got.size()); ++i) {
    const auto at = [&](const std::vector<T>& items) {
      return i < items.size() ? std::to_string(items[i]) : "the end";
    };
    if (at(expected) != at(got))
      return "index " + std::to_string(i) + ": expected " + at(expected) + ", got " + at(got);
  }
  return "";
}

std::vector<std::uint32_t> flat(const Encoding& encoding) {
  std::vector<std::uint32_t> offsets;
  for (const auto& [begin, end] : encoding.offsets) offsets.insert(offsets.end(), {begin, end});
  return offsets;
}

void expect_golden_texts(const Tokenizer& tokenizer, const Json& expected) {
  const std::vector<std::string> texts = hard_strings();
  ASSERT_EQ(expected["texts"].size(), texts.size()) << "make the golden files anew";
  const std::vector<Encoding> batch = tokenizer.encode_batch(texts, true);
  const TokenSequences flat_ids = tokenizer.encode_ids(texts, true);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    SCOPED_TRACE(printable(texts[i]));
    const Json& golden = expected["texts"][i];
    const Encoding plain = tokenizer.encode(texts[i], false);
    EXPECT_EQ(first_difference(ids_in(golden["ids"]), plain.ids), "");
    EXPECT_EQ(first_difference(golden["offsets"].get<std::vector<std::uint32_t>>(), flat(plain)),
              "");
    const auto with_special = ids_in(golden["with_special"]);
    EXPECT_EQ(first_difference(with_special, tokenizer.encode(texts[i], true).ids), "");
    EXPECT_EQ(first_difference(with_special, batch[i].ids), "");
    EXPECT_EQ(first_difference(with_special, {flat_ids.ids.begin() + begin,
                                              flat_ids.ids.begin() + flat_ids.ends[i]}),
              "");
    begin = flat_ids.ends[i];
    EXPECT_EQ(tokenizer.decode(plain.ids, false), golden["decoded"].get<std::string>());
  }
}

void expect_golden(const Tokenizer& tokenizer, const std::string& name) {
  const Json expected = golden(name);
  expect_golden_texts(tokenizer, expected);
  for (std::size_t i = 0; i < expected["texts"].size(); ++i) {
    const Json& text = expected["texts"][i];
    EXPECT_EQ(tokenizer.decode(ids_in(text["ids"]), true),
              text["without_special"].get<std::string>());
  }
  EXPECT_EQ(tokenizer.vocab_size(), expected["vocab_size"].get<int>());
  EXPECT_EQ(tokenizer.bos().value_or(-1),
            expected["bos"].is_null() ? -1 : expected["bos"].get<int>());
  EXPECT_EQ(tokenizer.eos().value_or(-1),
            expected["eos"].is_null() ? -1 : expected["eos"].get<int>());
}

class PublishedTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(PublishedTokenizer, EqualsTransformers) {
  const fs::path folder = tokenizer_folder(GetParam());
  SAFESAIL_NEED_INSTALLED(folder);
  expect_golden(Tokenizer::load(folder), GetParam());
}
INSTANTIATE_TEST_SUITE_P(, PublishedTokenizer, testing::Values("qwen3", "llama3", "gemma3"),
                         [](const auto& name) { return name.param; });

TEST(GgufTokenizer, SmolLm2EqualsTransformers) {
  SAFESAIL_NEED_INSTALLED(smollm2_gguf());
  expect_golden(Tokenizer::load(smollm2_gguf()), "smollm2");
}

TEST(GgufTokenizer, Gemma3EqualsThePublishedOne) {
  if (!fs::exists(gemma3_gguf())) GTEST_SKIP() << "make test-full fetches the model of Gemma 3";
  const Tokenizer tokenizer = Tokenizer::load(gemma3_gguf());
  // The base model's file: the vocabulary ends before the image token, and EOS is <eos>.
  expect_golden_texts(tokenizer, golden("gemma3"));
  EXPECT_EQ(tokenizer.bos(), 2);
  EXPECT_EQ(tokenizer.eos(), 1);
}

// A tokenizer of four words, to see what the files beside tokenizer.json do.
constexpr std::string_view kTiny = R"({
  "version": "1.0", "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0,
  "direction": "Right"}, "padding": null, "added_tokens": [], "normalizer": null,
  "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
  "model": {"type": "WordLevel", "unk_token": "?",
            "vocab": {"?": 0, "good": 1, "morning": 2, "<s>": 3, "</s>": 4}}})";

class TinyTokenizer : public testing::Test {
 protected:
  TinyTokenizer() { write_file(folder_ / "tokenizer.json", kTiny); }
  Tokenizer load_with(std::string_view config) {
    write_file(folder_ / "tokenizer_config.json", config);
    return Tokenizer::load(folder_.path());
  }
  TempFolder folder_;
};

using Ids = std::vector<std::int32_t>;

TEST_F(TinyTokenizer, NeedsNothingButItself) {
  for (const fs::path& path : {folder_.path(), folder_ / "tokenizer.json"}) {
    const Tokenizer tokenizer = Tokenizer::load(path);
    // The truncation to two tokens is not transformers' default, and not ours.
    EXPECT_EQ(tokenizer.encode("good morning good", true).ids, (Ids{1, 2, 1}));
    EXPECT_EQ(tokenizer.vocab_size(), 5);
    EXPECT_EQ(tokenizer.bos(), std::nullopt);
    EXPECT_EQ(tokenizer.token(2), "morning");
    EXPECT_EQ(tokenizer.id_of("morning"), 2);
    EXPECT_EQ(tokenizer.id_of("evening"), std::nullopt);
    EXPECT_EQ(tokenizer.chat_template(), std::nullopt);
  }
}

TEST_F(TinyTokenizer, NamedTokensAreSpecial) {
  const Tokenizer tokenizer = load_with(R"({"bos_token": "<s>", "eos_token": {"content": "</s>"},
                                           "pad_token": "<new>", "unk_token": null})");
  EXPECT_EQ(tokenizer.bos(), 3);
  EXPECT_EQ(tokenizer.eos(), 4);
  EXPECT_EQ(tokenizer.id_of("<new>"), 5);
  EXPECT_EQ(tokenizer.vocab_size(), 6);
  for (const int id : {3, 4, 5}) EXPECT_TRUE(tokenizer.is_special(id)) << id;
  for (const int id : {-1, 0, 1, 2, 6}) EXPECT_FALSE(tokenizer.is_special(id)) << id;
  EXPECT_EQ(tokenizer.encode("good<new>morning</s>", true).ids, (Ids{1, 5, 2, 4}));
  EXPECT_EQ(tokenizer.decode(Ids{1, 5, 2, 4}, true), "good morning");
}

// As AutoTokenizer of transformers 5.23 does with any tokenizer.json.
TEST_F(TinyTokenizer, OnlyThePostProcessorAddsBosAndEos) {
  const char* wanted =
      R"({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true, "add_eos_token": true})";
  EXPECT_EQ(load_with(wanted).encode("good", true).ids, (Ids{1}));
  std::string json(kTiny);
  json.replace(json.find(R"("post_processor": null)"), 22, R"("post_processor":
      {"type": "TemplateProcessing", "pair": [], "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
       {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
       "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]},
                          "</s>": {"id": "</s>", "ids": [4], "tokens": ["</s>"]}}})");
  write_file(folder_ / "tokenizer.json", json);
  const Tokenizer tokenizer = load_with(
      R"({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false, "add_eos_token": false})");
  const Encoding encoding = tokenizer.encode("good", true);
  EXPECT_EQ(encoding.ids, (Ids{3, 1, 4}));
  EXPECT_EQ(flat(encoding), (std::vector<std::uint32_t>{0, 0, 0, 4, 0, 0}));
  EXPECT_EQ(tokenizer.encode("good", false).ids, (Ids{1}));
}

TEST_F(TinyTokenizer, TemplateComesFromTheNewestPlace) {
  const char* in_config = R"({"chat_template": [{"name": "tools", "template": "t"},
                                                {"name": "default", "template": "d"}]})";
  EXPECT_EQ(load_with(in_config).chat_template(), "d");
  write_file(folder_ / "chat_template.jinja", "from the file of its own");
  EXPECT_EQ(load_with(in_config).chat_template(), "from the file of its own");
}

TEST_F(TinyTokenizer, TokensOfOldFoldersComeFromOtherFiles) {
  write_file(folder_ / "special_tokens_map.json", R"({"bos_token": {"content": "<s>"}})");
  write_file(folder_ / "config.json", R"({"bos_token_id": 0, "eos_token_id": [4, 0]})");
  const Tokenizer tokenizer = Tokenizer::load(folder_.path());
  EXPECT_EQ(tokenizer.bos(), 3);
  EXPECT_EQ(tokenizer.eos(), 4);
}

TEST_F(TinyTokenizer, RefusesWhatIsNoTokenizer) {
  EXPECT_THAT(error_of([&] { Tokenizer::load(folder_ / "other.json"); }),
              HasSubstr("no such file"));
  for (const char* broken : {"", "{", "[]", "{}", R"({"model": {"type": "BPE"}})",
                             R"({"model": {"type": "WordLevel", "vocab": {"a": 1e9}}})",
                             R"({"model": {"type": "WordLevel", "unk_token": "a", "vocab": {}}})",
                             R"({"model": {"type": "WordLevel", "unk_token": "a",
                                 "vocab": {"a": 4000000000}}})"}) {
    SCOPED_TRACE(broken);
    write_file(folder_ / "tokenizer.json", broken);
    error_of([&] { Tokenizer::load(folder_.path()); });
  }
  // Merges of tokens that are not there.
  std::string json(kTiny);
  json = json.substr(0, json.find("\"model\"")) +
         R"("model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}})";
  write_file(folder_ / "tokenizer.json", json);
  error_of([&] { Tokenizer::load(folder_.path()); });
}

TEST_F(TinyTokenizer, RefusesIdsAndTextThatAreNone) {
  const Tokenizer tokenizer = Tokenizer::load(folder_.path());
  for (const int id : {-1, 5, 1 << 30}) {
    EXPECT_THAT(error_of([&] { tokenizer.token(id); }), HasSubstr("[0, 5)"));
    error_of([&] { tokenizer.decode(Ids{1, id}, false); });
  }
  EXPECT_THAT(error_of([&] { tokenizer.encode("good \xff", true); }), HasSubstr("UTF-8 at byte 5"));
  EXPECT_THAT(error_of([&] {
                tokenizer.encode_batch(std::vector<std::string>{"good", "\xc0\x80"}, true);
              }),
              HasSubstr("UTF-8 at byte 0"));
}

TEST_F(TinyTokenizer, MustFitTheModel) {
  const Tokenizer tokenizer = load_with(R"({"pad_token": "<image>"})");
  EXPECT_EQ(tokenizer.vocab_size(), 6);
  // Padded embeddings are common; a special token beyond them is none of the text's.
  for (const int n_embeddings : {5, 6, 64}) tokenizer.require_fit(n_embeddings, "model");
  EXPECT_THAT(
      error_of([&] { tokenizer.require_fit(4, "model.gguf"); }),
      testing::AllOf(HasSubstr("model.gguf"), HasSubstr("each of 5 tokens"), HasSubstr("got 4")));
}

TEST_F(TinyTokenizer, ServesSeveralThreads) {
  const Tokenizer tokenizer = Tokenizer::load(folder_.path());
  const std::vector<std::string> texts(1000, "good morning");
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::atomic<int> n_equal = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      const TokenSequences all = tokenizer.encode_ids(texts, true);
      n_equal += all.ids.size() == 2000 && all.ends.back() == 2000;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_equal, 4);
}

}  // namespace
}  // namespace safesail
