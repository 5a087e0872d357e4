#include "text/corpus.h"

#include <gmock/gmock.h>
#include <set>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"
#include "formats/test_files.h"
#include "text/test_tokenizers.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

std::string gzipped(std::string_view text) {
  std::string packed(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string zstd_packed(std::string_view text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

class CorpusTest : public testing::Test {
 protected:
  void write(std::string_view name, std::string_view text) { write_file(folder_ / name, text); }

  /// In file order, all bad lines allowed, unless `change` says otherwise.
  CorpusConfig config(Texts paths) const {
    CorpusConfig config;
    for (const std::string& path : paths) config.paths.push_back((folder_ / path).string());
    config.shuffle_window = 0;
    config.max_bad_share = 1;
    return config;
  }

  Texts texts_of(const CorpusConfig& config, const Tokenizer* tokenizer = nullptr) {
    Corpus corpus(config, tokenizer);
    Texts texts;
    documents_.clear();
    while (auto document = corpus.next()) {
      texts.push_back(document->text);
      documents_.push_back(std::move(*document));
    }
    report_ = corpus.report();
    return texts;
  }

  /// A tokenizer whose template writes "role:content|".
  Tokenizer chat_tokenizer() {
    write("chat/tokenizer.json", R"({"version": "1.0", "added_tokens": [],
        "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0}}})");
    write("chat/chat_template.jinja",
          "{% for m in messages %}{{ m.role }}:{{ m.content }}|{% endfor %}");
    return Tokenizer::load(folder_ / "chat");
  }

  TempFolder folder_;
  std::vector<Document> documents_;
  CorpusReport report_;
};

TEST_F(CorpusTest, ReadsJsonl) {
  write("a.jsonl", "{\"text\": \"one\\nline\", \"id\": 7}\r\n\n  \n{\"id\": 8, \"text\": \"दो\"}");
  EXPECT_THAT(texts_of(config({"a.jsonl"})), ElementsAre("one\nline", "दो"));
  EXPECT_EQ(documents_[1].id, 1u);
  EXPECT_EQ(report_.n_documents, 2u);
  EXPECT_EQ(report_.n_bad, 0u);
}

TEST_F(CorpusTest, ReadsAnotherField) {
  write("a.ndjson", R"({"text": "no", "body": "yes"})");
  CorpusConfig wanted = config({"a.ndjson"});
  wanted.field = "body";
  EXPECT_THAT(texts_of(wanted), ElementsAre("yes"));
}

TEST_F(CorpusTest, ReadsPlainTextByLineAndByParagraph) {
  write("a.txt", "one\ntwo\r\n\n \nthree\nfour\n");
  EXPECT_THAT(texts_of(config({"a.txt"})), ElementsAre("one", "two", "three", "four"));
  CorpusConfig paragraphs = config({"a.txt"});
  paragraphs.document_per_line = false;
  EXPECT_THAT(texts_of(paragraphs), ElementsAre("one\ntwo", "three\nfour"));
}

TEST_F(CorpusTest, UnpacksGzipAndZstd) {
  write("a.txt.gz", gzipped("one\ntwo\n"));
  write("b.jsonl.zst", zstd_packed(R"({"text": "three"})"));
  EXPECT_THAT(texts_of(config({"a.txt.gz", "b.jsonl.zst"})), ElementsAre("one", "two", "three"));
  write("a.txt.gz", gzipped("one\ntwo\n").substr(0, 15));
  error_of([&] { texts_of(config({"a.txt.gz"})); });
}

TEST_F(CorpusTest, RendersMessages) {
  const Tokenizer tokenizer = chat_tokenizer();
  write("a.jsonl",
        R"({"messages": [{"role": "user", "content": "hi"}, {"role": "bot", "content": "ho"}]})"
        "\n"
        R"({"text": [{"role": "user", "content": "in text"}]})"
        "\n"
        R"({"text": "plain"})");
  EXPECT_THAT(texts_of(config({"a.jsonl"}), &tokenizer),
              ElementsAre("user:hi|bot:ho|", "user:in text|", "plain"));
  EXPECT_TRUE(documents_[0].is_chat);
  EXPECT_FALSE(documents_[2].is_chat);
  EXPECT_THAT(texts_of(config({"a.jsonl"})), ElementsAre("plain"));
  EXPECT_THAT(report_.first_bad[0], HasSubstr("no chat template"));
}

TEST_F(CorpusTest, ReadsParquetOfEveryCodec) {
  for (const char* codec : {"none", "snappy", "gzip", "zstd", "lz4", "v2"}) {
    SCOPED_TRACE(codec);
    CorpusConfig wanted = config({});
    wanted.paths = {
        source_path("tests/data/text/text_" + std::string(codec) + ".parquet").string()};
    const Texts texts = texts_of(wanted);
    ASSERT_EQ(texts.size(), 10u);
    for (std::size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(texts[i], "document " + std::to_string(i) + " नमस्ते");
  }
}

TEST_F(CorpusTest, ReadsParquetWithGapsAndBytes) {
  CorpusConfig wanted = config({});
  wanted.paths = {source_path("tests/data/text/text_with_gaps.parquet").string()};
  EXPECT_THAT(texts_of(wanted), ElementsAre("good", "large"));
  EXPECT_THAT(report_.first_bad, ElementsAre(HasSubstr(".parquet:2: "), HasSubstr(".parquet:3: ")));
  wanted.paths = {source_path("tests/data/text/text_binary.parquet").string()};
  EXPECT_THAT(texts_of(wanted), ElementsAre("raw bytes"));
}

TEST_F(CorpusTest, RendersMessagesOfParquet) {
  const Tokenizer tokenizer = chat_tokenizer();
  CorpusConfig wanted = config({});
  wanted.paths = {source_path("tests/data/text/messages.parquet").string()};
  EXPECT_THAT(texts_of(wanted, &tokenizer), ElementsAre("user:one|assistant:1|", "user:two|"));
  EXPECT_TRUE(documents_[0].is_chat);
}

TEST_F(CorpusTest, RefusesParquetThatIsNone) {
  CorpusConfig wanted = config({});
  wanted.paths = {source_path("tests/data/text/text_none.parquet").string()};
  wanted.field = "body";
  EXPECT_THAT(error_of([&] { texts_of(wanted); }),
              testing::AllOf(HasSubstr("body"), HasSubstr("id, text, score")));
  wanted.field = "score";
  EXPECT_THAT(error_of([&] { texts_of(wanted); }), HasSubstr("column of strings"));

  const std::string whole =
      read_file(source_path("tests/data/text/text_zstd.parquet"), std::uint64_t{1} << 20);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{3}, whole.size() / 2, whole.size() - 1}) {
    SCOPED_TRACE(size);
    write("cut.parquet", whole.substr(0, size));
    error_of([&] { texts_of(config({"cut.parquet"})); });
  }
  std::string broken = whole;
  for (std::size_t i = 4; i < 200; ++i) broken[i] = '\xff';
  write("broken.parquet", broken);
  error_of([&] { texts_of(config({"broken.parquet"})); });
  write("packed.parquet.gz", gzipped(whole));
  EXPECT_THAT(error_of([&] { texts_of(config({"packed.parquet.gz"})); }), HasSubstr("unpack"));
}

TEST_F(CorpusTest, NamesPackingsThatItCannotRead) {
  CorpusConfig wanted = config({});
  wanted.paths = {source_path("tests/data/text/text_brotli.parquet").string()};
  EXPECT_THAT(error_of([&] { texts_of(wanted); }),
              testing::AllOf(HasSubstr("text: BROTLI"), HasSubstr("zstd")));
  write("a.jsonl.bz2", "BZh91AY&SY and so on");
  EXPECT_THAT(error_of([&] { texts_of(config({"a.jsonl.bz2"})); }), HasSubstr("a bzip2 file"));
  write("a.txt", "BZh is no packing");
  EXPECT_THAT(texts_of(config({"a.txt"})), ElementsAre("BZh is no packing"));
}

TEST_F(CorpusTest, ReadsAnArrayOfObjects) {
  const std::string array =
      "\xef\xbb\xbf \n[\n {\"text\": \"a ] , \\\"}\"},\n\n {\"x\": [1, {}], \"text\": \"b\"}, "
      "7\n]\n";
  write("a.json", array);
  write("b.json.gz", gzipped(R"([{"text": "c"}])"));
  EXPECT_THAT(texts_of(config({"a.json"})), ElementsAre("a ] , \"}", "b"));
  EXPECT_THAT(report_.first_bad, ElementsAre(HasSubstr("a.json:3: expected an object")));
  EXPECT_THAT(texts_of(config({"b.json.gz"})), ElementsAre("c"));
  write("cut.json", array.substr(0, array.size() - 3));
  EXPECT_THAT(error_of([&] { texts_of(config({"cut.json"})); }),
              HasSubstr("the array to be closed"));
  write("empty.json", "[ ]");
  EXPECT_THAT(error_of([&] { texts_of(config({"empty.json"})); }), HasSubstr("got none"));
}

TEST_F(CorpusTest, LeavesNumbersOfPythonInOtherFieldsAlone) {
  write("a.jsonl",
        "{\"text\": \"NaN\", \"score\": NaN}\n"
        "{\"text\": \"two \\\"Infinity\\\"\", \"score\": [-Infinity, Infinity]}\n"
        "{\"text\": NaN}\n{\"text\": \"x\", \"y\": Nan}\n");
  EXPECT_THAT(texts_of(config({"a.jsonl"})), ElementsAre("NaN", "two \"Infinity\""));
  EXPECT_THAT(
      report_.first_bad,
      ElementsAre(HasSubstr("a.jsonl:3: expected text or messages in the field \"text\", got null"),
                  HasSubstr("a.jsonl:4: expected JSON")));
}

TEST_F(CorpusTest, ReadsMessagesAsTheServerDoes) {
  const Tokenizer tokenizer = chat_tokenizer();
  write("a.jsonl",
        R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]})"
        "\n"
        R"({"messages": [{"role": "user", "content": null}]})");
  EXPECT_THAT(texts_of(config({"a.jsonl"}), &tokenizer), ElementsAre("user:Hi|"));
  EXPECT_THAT(report_.first_bad, ElementsAre(HasSubstr("to be a text, got null")));
}

TEST_F(CorpusTest, TwoStarsAreAnyNumberOfFolders) {
  write("d/a.jsonl", R"({"text": "a"})");
  write("d/x/b.jsonl", R"({"text": "b"})");
  write("d/x/y/c.JSONL", R"({"text": "c"})");
  write("d/x/[1]/e.jsonl", R"({"text": "e"})");
  write("d/.hidden/f.jsonl", R"({"text": "f"})");
  write("d/x/y/other.txt", "o");
  EXPECT_THAT(texts_of(config({"d/**/*.jsonl"})), ElementsAre("a", "e", "b"));
  EXPECT_THAT(texts_of(config({"d/**/*.JSONL"})), ElementsAre("c"));
  EXPECT_THAT(texts_of(config({"d/**/y/*"})), ElementsAre("c", "o"));
  EXPECT_THAT(texts_of(config({"d/x/**"})), ElementsAre("e", "b", "c", "o"));
}

TEST_F(CorpusTest, FindsFilesOfFoldersAndGlobs) {
  write("data/b.txt", "b");
  write("data/a.jsonl", R"({"text": "a"})");
  write("data/sub/c.txt.gz", gzipped("c"));
  write("data/README.md", "not a document");
  write("data/.cache/x.txt", "not a document");
  write("d1.txt", "d1");
  write("d2.txt", "d2");
  write("star*.txt", "star");
  EXPECT_THAT(texts_of(config({"data"})), ElementsAre("a", "b", "c"));
  EXPECT_THAT(texts_of(config({"d?.txt"})), ElementsAre("d1", "d2"));
  EXPECT_THAT(texts_of(config({"data/*.txt", "d1.txt", "d*.txt"})), ElementsAre("d1", "d2", "b"));
  EXPECT_THAT(texts_of(config({"star*.txt"})), ElementsAre("star"));
}

TEST_F(CorpusTest, EachPathIsAPart) {
  write("law/b.txt", "b1\nb2");
  write("law/sub/c.txt", "c");
  write("a.txt", "a");
  const CorpusConfig wanted = config({"law/", "a.txt", "law/b.txt"});
  EXPECT_THAT(texts_of(wanted), ElementsAre("a", "b1", "b2", "c"));
  std::vector<std::uint32_t> parts;
  for (const Document& document : documents_) parts.push_back(document.part);
  EXPECT_THAT(parts, ElementsAre(1, 0, 0, 0)) << "a file belongs to the first path that names it";
  EXPECT_THAT(part_names(wanted), ElementsAre("law", "a.txt", "b.txt"));
}

TEST_F(CorpusTest, RefusesPathsWithoutFiles) {
  fs::create_directory(folder_ / "empty");
  for (const char* path : {"none.txt", "*.nothing", "empty"}) {
    SCOPED_TRACE(path);
    EXPECT_THAT(error_of([&] { Corpus(config({path}), nullptr); }), HasSubstr(path));
  }
  error_of([&] { Corpus(config({}), nullptr); });
  write("blank.txt", "\n \n");
  EXPECT_THAT(error_of([&] { texts_of(config({"blank.txt"})); }), HasSubstr("got none"));
}

TEST_F(CorpusTest, CountsBadLinesAndKeepsTheFirstFive) {
  write("a.jsonl",
        "{\"text\": \"good\"}\n"
        "not json\n"
        "[\"text\"]\n"
        "{\"body\": \"x\"}\n"
        "{\"text\": 7}\n"
        "{\"text\": \"  \"}\n"
        "{\"text\": \"\xff\"}\n"
        "{\"text\": \"good too\"}\n");
  EXPECT_THAT(texts_of(config({"a.jsonl"})), ElementsAre("good", "good too"));
  EXPECT_EQ(documents_[1].id, 1u);
  EXPECT_EQ(report_.n_bad, 6u);
  EXPECT_THAT(report_.first_bad,
              ElementsAre(HasSubstr("a.jsonl:2: expected JSON"), HasSubstr("a.jsonl:3: "),
                          HasSubstr("a.jsonl:4: expected the field"), HasSubstr("a.jsonl:5: "),
                          HasSubstr("a.jsonl:6: expected text")));

  write("b.txt", "good\nbad \xc3\n");
  EXPECT_THAT(texts_of(config({"b.txt"})), ElementsAre("good"));
  EXPECT_THAT(report_.first_bad, ElementsAre(HasSubstr("b.txt:2: expected UTF-8")));
}

TEST_F(CorpusTest, StopsAboveTheShareOfBadLines) {
  std::string lines;
  for (int i = 0; i < 99; ++i) lines += "good\n";
  write("ok.txt", lines + "\xff\n");  // 1 in 100: not above 1 %
  write("above.txt", lines + "\xff\n\xff\n");
  CorpusConfig strict = config({"ok.txt"});
  strict.max_bad_share = 0.01;
  EXPECT_EQ(texts_of(strict).size(), 99u);
  strict = config({"above.txt"});
  strict.max_bad_share = 0.01;
  EXPECT_THAT(error_of([&] { texts_of(strict); }),
              testing::AllOf(HasSubstr("got 2 of 101"), HasSubstr("above.txt:100: ")));
}

TEST_F(CorpusTest, GivesUpEarlyOnAHopelessFile) {
  std::string lines;
  for (int i = 0; i < 5000; ++i) lines += "\xff\n";
  write("bad.txt", lines);
  CorpusConfig strict = config({"bad.txt"});
  strict.max_bad_share = 0.01;
  EXPECT_THAT(error_of([&] { texts_of(strict); }), HasSubstr("got 1000 of 1000"));
}

TEST_F(CorpusTest, ShufflesInsideWindowsBySeed) {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += std::to_string(i) + "\n";
  write("a.txt", lines);
  CorpusConfig shuffled = config({"a.txt"});
  shuffled.shuffle_window = 40;
  shuffled.seed = 5;
  const Texts once = texts_of(shuffled);
  ASSERT_EQ(once.size(), 100u);
  for (std::size_t window = 0; window < 3; ++window) {
    // Each window holds its own documents, in another order than they came.
    const std::size_t begin = 40 * window, end = std::min<std::size_t>(begin + 40, 100);
    std::set<std::uint64_t> ids;
    bool moved = false;
    for (std::size_t i = begin; i < end; ++i) {
      ids.insert(documents_[i].id);
      moved |= documents_[i].id != i;
      EXPECT_EQ(documents_[i].text, std::to_string(documents_[i].id));
    }
    EXPECT_EQ(ids.size(), end - begin);
    EXPECT_EQ(*ids.begin(), begin);
    EXPECT_EQ(*ids.rbegin(), end - 1);
    EXPECT_TRUE(moved);
  }
  EXPECT_EQ(texts_of(shuffled), once);
  shuffled.seed = 6;
  EXPECT_NE(texts_of(shuffled), once);
}

}  // namespace
}  // namespace safesail
