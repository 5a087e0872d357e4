// Tokenizers from GGUF metadata against the tokenizer.json they were converted from. The files are
// written here as llama.cpp's converter writes them: vocabulary, types, merges or scores, and
// names.
#include <gmock/gmock.h>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/test_files.h"
#include "text/test_tokenizers.h"
#include "text/tokenizer.h"

namespace safesail {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;
using Ids = std::vector<std::int32_t>;

std::string gguf_string(std::string_view text) {
  return raw<std::uint64_t>(text.size()) + std::string(text);
}

/// Collects metadata and writes a file without tensors.
class GgufWriter {
 public:
  GgufWriter& add(const std::string& key, const std::string& value) {
    return entry(key, raw<std::uint32_t>(8) + gguf_string(value));
  }
  GgufWriter& add(const std::string& key, std::uint32_t value) {
    return entry(key, raw<std::uint32_t>(4) + raw(value));
  }
  GgufWriter& add(const std::string& key, bool value) {
    return entry(key, raw<std::uint32_t>(7) + raw<std::uint8_t>(value));
  }
  GgufWriter& add(const std::string& key, const Strings& values) {
    std::string items;
    for (const std::string& value : values) items += gguf_string(value);
    return entry(key, array_head(8, values.size()) + items);
  }
  GgufWriter& add(const std::string& key, const std::vector<std::int32_t>& values) {
    std::string items;
    for (const std::int32_t value : values) items += raw(value);
    return entry(key, array_head(5, values.size()) + items);
  }
  GgufWriter& add(const std::string& key, const std::vector<float>& values) {
    std::string items;
    for (const float value : values) items += raw(value);
    return entry(key, array_head(6, values.size()) + items);
  }

  void write(const fs::path& path) const {
    write_file(path, "GGUF" + raw<std::uint32_t>(3) + raw<std::uint64_t>(0) +
                         raw<std::uint64_t>(n_entries_) + entries_);
  }

 private:
  static std::string array_head(std::uint32_t type, std::size_t size) {
    return raw<std::uint32_t>(9) + raw(type) + raw<std::uint64_t>(size);
  }
  GgufWriter& entry(const std::string& key, const std::string& value) {
    entries_ += gguf_string(key) + value;
    ++n_entries_;
    return *this;
  }
  std::string entries_;
  std::uint64_t n_entries_ = 0;
};

/// What the converter takes from a byte-level tokenizer.json.
GgufWriter converted(const fs::path& tokenizer_json, const std::string& pre) {
  const Json json = Json::parse(read_file(tokenizer_json, std::uint64_t{1} << 30));
  std::map<int, std::pair<std::string, int>> by_id;
  for (const auto& [token, id] : json["model"]["vocab"].items()) by_id[id] = {token, 1};
  for (const Json& token : json["added_tokens"])
    by_id[token["id"]] = {token["content"], token["special"].get<bool>() ? 3 : 4};
  Strings tokens, merges;
  std::vector<std::int32_t> types;
  for (const auto& [id, token] : by_id) {
    tokens.push_back(token.first);
    types.push_back(token.second);
  }
  for (const Json& merge : json["model"]["merges"])
    merges.push_back(merge.is_string()
                         ? merge.get<std::string>()
                         : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", std::string("gpt2"))
      .add("tokenizer.ggml.pre", pre)
      .add("tokenizer.ggml.tokens", tokens)
      .add("tokenizer.ggml.token_type", types)
      .add("tokenizer.ggml.merges", merges);
  return writer;
}

struct Conversion {
  const char* name;
  const char* pre;
};

class GgufConversion : public testing::TestWithParam<Conversion> {};

TEST_P(GgufConversion, GivesTheSameIds) {
  const fs::path folder = tokenizer_folder(GetParam().name);
  SAFESAIL_NEED_INSTALLED(folder);
  const TempFolder scratch;
  GgufWriter writer = converted(folder / "tokenizer.json", GetParam().pre);
  const Json expected = golden(GetParam().name);
  writer.add("tokenizer.ggml.eos_token_id", expected["eos"].get<std::uint32_t>());
  writer.write(scratch / "model.gguf");
  const Tokenizer tokenizer = Tokenizer::load(scratch / "model.gguf");
  const Json& texts = expected["texts"];
  const Strings strings = hard_strings();
  ASSERT_EQ(texts.size(), strings.size());
  for (std::size_t i = 0; i < strings.size(); ++i) {
    SCOPED_TRACE(printable(strings[i]));
    const Encoding encoding = tokenizer.encode(strings[i], false);
    EXPECT_EQ(encoding.ids, texts[i]["ids"].get<Ids>());
    EXPECT_EQ(tokenizer.decode(encoding.ids, false), texts[i]["decoded"].get<std::string>());
  }
  EXPECT_EQ(tokenizer.eos(), expected["eos"].get<int>());
}
INSTANTIATE_TEST_SUITE_P(, GgufConversion,
                         testing::Values(Conversion{"qwen3", "qwen2"},
                                         Conversion{"llama3", "llama-bpe"}),
                         [](const auto& name) { return std::string(name.param.name); });

/// The smallest byte-level file: two letters and their merge.
GgufWriter small(const Strings& tokens = {"a", "b", "ab", "<s>"},
                 const std::string& architecture = "gpt2") {
  GgufWriter writer;
  writer.add("general.architecture", architecture)
      .add("tokenizer.ggml.model", std::string("gpt2"))
      .add("tokenizer.ggml.tokens", tokens)
      .add("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 3})
      .add("tokenizer.ggml.merges", Strings{"a b"})
      .add("tokenizer.ggml.bos_token_id", std::uint32_t{3});
  return writer;
}

class GgufTokenizerFile : public testing::Test {
 protected:
  Tokenizer load(const GgufWriter& writer) {
    writer.write(folder_ / "x.gguf");
    return Tokenizer::load(folder_ / "x.gguf");
  }
  TempFolder folder_;
};

TEST_F(GgufTokenizerFile, AddsBosAsTheFileSays) {
  EXPECT_EQ(load(small()).encode("ab", true).ids, (Ids{2}));
  EXPECT_EQ(load(small().add("tokenizer.ggml.add_bos_token", true)).encode("ab", true).ids,
            (Ids{3, 2}));
  // Llama 3's files leave the key out.
  EXPECT_EQ(
      load(small().add("tokenizer.ggml.pre", std::string("llama-bpe"))).encode("ab", true).ids,
      (Ids{3, 2}));
}

// Ids of "1", "2" and "12", and of "e", "\u0301" and "é" in bytes.
TEST_F(GgufTokenizerFile, FilesWithoutANamedPipelineAreToldByArchitectureAndVocabulary) {
  const Strings tokens{"1", "2", "12", "<|begin_of_text|>", "e", "Ì", "ģ", "Ã", "©", "Ã©"};
  const auto file = [&](const std::string& architecture, const Strings& vocabulary) {
    GgufWriter writer;
    writer.add("general.architecture", architecture)
        .add("tokenizer.ggml.model", std::string("gpt2"))
        .add("tokenizer.ggml.tokens", vocabulary)
        .add("tokenizer.ggml.merges", Strings{"1 2", "Ã ©"})
        .add("tokenizer.ggml.bos_token_id", std::uint32_t{3});
    return writer;
  };
  const Ids decomposed{4, 5, 6}, composed{9};
  // Qwen splits digits and composes letters; GPT-NeoX composes; GPT-2 does neither; Llama 3 begins
  // with BOS.
  for (const std::string architecture : {"qwen2", "qwen3"}) {
    const Tokenizer qwen = load(file(architecture, tokens));
    EXPECT_EQ(qwen.encode("12", true).ids, (Ids{0, 1}));
    EXPECT_EQ(qwen.encode("e\u0301", true).ids, composed);
  }
  const Tokenizer neox = load(file("gptneox", tokens));
  EXPECT_EQ(neox.encode("12", true).ids, (Ids{2}));
  EXPECT_EQ(neox.encode("e\u0301", true).ids, composed);
  EXPECT_EQ(load(file("gptneox", tokens).add("tokenizer.ggml.pre", std::string("mpt")))
                .encode("e\u0301", true)
                .ids,
            composed);
  EXPECT_EQ(load(file("gpt2", tokens).add("tokenizer.ggml.pre", std::string("default")))
                .encode("e\u0301", true)
                .ids,
            decomposed);
  EXPECT_EQ(load(file("llama", tokens)).encode("12", true).ids, (Ids{3, 2}));
  Strings others = tokens;
  others[3] = "<s>";
  EXPECT_THAT(error_of([&] { load(file("llama", others)); }),
              testing::AllOf(HasSubstr("tokenizer.ggml.pre"), HasSubstr("got none"),
                             HasSubstr("\"llama\"")));
}

TEST_F(GgufTokenizerFile, ReadsSentencePieceWithAndWithoutAPrefix) {
  GgufWriter writer;
  Strings tokens{"<unk>", "<s>", "▁", "h", "i", "hi", "▁hi", "<0xC3>", "<0xA9>", "  "};
  writer.add("tokenizer.ggml.model", std::string("llama"))
      .add("tokenizer.ggml.tokens", tokens)
      .add("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 3, 1, 1, 1, 1, 1, 6, 6, 4})
      .add("tokenizer.ggml.scores", std::vector<float>{0, 0, -9, -8, -8, -1, -2, 0, 0, 0})
      .add("tokenizer.ggml.bos_token_id", std::uint32_t{1})
      .add("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
  const Tokenizer with_prefix = load(writer);
  // SentencePiece's flags in Llama 2: a space in front, and BOS.
  EXPECT_EQ(with_prefix.encode("hi hi", true).ids, (Ids{1, 6, 6}));
  EXPECT_EQ(with_prefix.decode(Ids{6, 6}, false), "hi hi");
  EXPECT_EQ(with_prefix.encode("hié", false).ids, (Ids{6, 7, 8}));
  EXPECT_EQ(with_prefix.decode(Ids{6, 7, 8}, false), "hié");

  const Tokenizer without = load(writer.add("tokenizer.ggml.add_space_prefix", false));
  EXPECT_EQ(without.encode("hi hi", false).ids, (Ids{5, 6}));
  EXPECT_EQ(without.token(9), "▁▁");
}

TEST_F(GgufTokenizerFile, SaysWhatIsWrong) {
  EXPECT_THAT(error_of([&] { load(GgufWriter()); }), HasSubstr("tokenizer.ggml.model"));
  EXPECT_THAT(error_of([&] {
                load(GgufWriter()
                         .add("tokenizer.ggml.model", std::string("t5"))
                         .add("tokenizer.ggml.tokens", Strings{"a"}));
              }),
              HasSubstr("gpt2 or llama"));
  EXPECT_THAT(error_of([&] { load(small().add("tokenizer.ggml.pre", std::string("mystery"))); }),
              testing::AllOf(HasSubstr("mystery"),
                             HasSubstr("gpt-2, llama-bpe, llama3, llama-v3, mpt, qwen2, smollm")));
  EXPECT_THAT(error_of([&] { load(small().add("tokenizer.ggml.eos_token_id", std::uint32_t{4})); }),
              HasSubstr("[0, 4)"));
  EXPECT_THAT(error_of([&] {
                load(GgufWriter()
                         .add("tokenizer.ggml.model", std::string("llama"))
                         .add("tokenizer.ggml.tokens", Strings{"a", "b"})
                         .add("tokenizer.ggml.scores", std::vector<float>{1}));
              }),
              HasSubstr("scores"));
  EXPECT_THAT(error_of([&] {
                load(GgufWriter()
                         .add("tokenizer.ggml.model", std::string("gpt2"))
                         .add("tokenizer.ggml.tokens", Strings{"a", "b"})
                         .add("tokenizer.ggml.token_type", std::vector<std::int32_t>{1}));
              }),
              HasSubstr("token_type"));
  // No larger work than the file pays for: pieces of any length, and pieces that split in very many
  // ways.
  const auto pieces = [&](const Strings& tokens) {
    return GgufWriter()
        .add("tokenizer.ggml.model", std::string("llama"))
        .add("tokenizer.ggml.tokens", tokens)
        .add("tokenizer.ggml.scores", std::vector<float>(tokens.size(), 0));
  };
  EXPECT_THAT(error_of([&] {
                load(pieces({"<unk>", std::string(100'000, 'a')}));
              }),
              HasSubstr("pieces of at most 1024 bytes"));
  Strings ladder{"<unk>"};
  for (std::size_t n = 1; n <= 200; ++n) ladder.emplace_back(n, 'a');
  EXPECT_THAT(error_of([&] { load(pieces(ladder)); }), HasSubstr("at most 32 merges a piece"));
  // A vocabulary that is not UTF-8 (also where it names a token), and a merge of tokens that are
  // not there.
  error_of([&] { load(small({"a", "b", "ab", "\xff"})); });
  error_of([&] {
    load(GgufWriter()
             .add("tokenizer.ggml.model", std::string("gpt2"))
             .add("tokenizer.ggml.tokens", Strings{"\xff"})
             .add("tokenizer.ggml.merges", Strings{}));
  });
  error_of([&] {
    load(GgufWriter()
             .add("tokenizer.ggml.model", std::string("gpt2"))
             .add("tokenizer.ggml.tokens", Strings{"a"})
             .add("tokenizer.ggml.merges", Strings{"a z"}));
  });
}

}  // namespace
}  // namespace safesail
