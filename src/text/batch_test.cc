#include "text/batch.h"

#include <gmock/gmock.h>
#include <set>
#include <string>

#include "base/error.h"
#include "formats/test_files.h"
#include "text/test_tokenizers.h"
#include "text/tokenizer_source.h"

namespace safesail {
namespace {

using testing::ElementsAre;

/// A word a token: "<s>" is 1, "w0" is 2, "w1" is 3...; a BOS in front where asked for.
class BatchTest : public testing::Test {
 protected:
  BatchTest() : tokenizer_(make_tokenizer()) {}

  Tokenizer make_tokenizer() {
    Json vocab = {{"?", 0}, {"<s>", 1}};
    for (int i = 0; i < 100; ++i) vocab["w" + std::to_string(i)] = i + 2;
    const Json json = {{"version", "1.0"},
                       {"added_tokens", Json::array()},
                       {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                       {"model", {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", vocab}}}};
    return Tokenizer::from_source(
        {.where = "test",
         .json = json.dump(),
         .config = {{"bos_token", "<s>"}},
         .ends = AddedEnds{.bos = true},
         .chat_template = "{% for m in messages %}{{ bos_token }} {{ m.content }} {% endfor %}",
         .bos = {},
         .eos = {}});
  }

  BatchStream stream(std::string_view lines, BatchConfig config, Split split = Split::all,
                     double held_out_share = 0) {
    const bool is_json = lines.starts_with('{');
    const fs::path path = folder_ / (is_json ? "corpus.jsonl" : "corpus.txt");
    write_file(path, lines);
    CorpusConfig corpus;
    corpus.paths = {path.string()};
    corpus.shuffle_window = 0;
    return {Corpus(corpus, &tokenizer_), tokenizer_, config, split, held_out_share};
  }

  std::vector<TokenBatch> all(BatchStream stream) {
    std::vector<TokenBatch> batches;
    while (auto batch = stream.next()) batches.push_back(std::move(*batch));
    return batches;
  }

  TempFolder folder_;
  Tokenizer tokenizer_;
};

TEST_F(BatchTest, LaysDocumentsEndToEnd) {
  const auto batches = all(stream("w0 w1 w2\nw3\nw4 w5\n", {.max_sequence = 8, .batch_tokens = 8}));
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_THAT(batches[0].ids, ElementsAre(1, 2, 3, 4, 1, 5));
  EXPECT_THAT(batches[0].starts, ElementsAre(0, 4, 6));
  EXPECT_THAT(batches[0].position, ElementsAre(0, 1, 2, 3, 0, 1));
  EXPECT_THAT(batches[0].document, ElementsAre(0, 0, 0, 0, 1, 1));
  EXPECT_THAT(batches[0].is_content, ElementsAre(0, 1, 1, 1, 0, 1));
  EXPECT_THAT(batches[1].ids, ElementsAre(1, 6, 7));
  EXPECT_THAT(batches[1].document, ElementsAre(2, 2, 2));
}

TEST_F(BatchTest, CutsLongDocumentsAndKeepsPositions) {
  const auto batches = all(stream("w0 w1 w2 w3 w4 w5\n", {.max_sequence = 3, .batch_tokens = 6}));
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_THAT(batches[0].ids, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(batches[0].starts, ElementsAre(0, 3, 6));
  EXPECT_THAT(batches[0].position, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(batches[1].ids, ElementsAre(7));
  EXPECT_THAT(batches[1].position, ElementsAre(6));
}

TEST_F(BatchTest, FillsABatchToTheBrim) {
  const auto batches = all(stream("w0\nw1\nw2\nw3\nw4\n", {.max_sequence = 4, .batch_tokens = 4}));
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[0].n_tokens(), 4u);
  EXPECT_EQ(batches[2].n_tokens(), 2u);
}

TEST_F(BatchTest, LeavesSpecialTokensOutWhenTold) {
  const auto batches =
      all(stream("w0 w1\n", {.max_sequence = 4, .batch_tokens = 4, .add_special = false}));
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_THAT(batches[0].ids, ElementsAre(2, 3));
}

TEST_F(BatchTest, GivesChatsNoSecondBos) {
  const auto batches =
      all(stream("{\"text\": \"w0\"}\n{\"messages\": [{\"role\": \"user\", \"content\": \"w1\"}]}\n"
                 "{\"text\": \"w2\"}\n",
                 {.max_sequence = 9, .batch_tokens = 9}));
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_THAT(batches[0].ids, ElementsAre(1, 2, 1, 3, 1, 4));
  EXPECT_THAT(batches[0].document, ElementsAre(0, 0, 1, 1, 2, 2));
}

TEST_F(BatchTest, PacksManyGroupsLosingNothing) {
  std::string lines;
  std::size_t n_words = 0;
  for (int i = 0; i < 5000; ++i) {
    for (int w = 0; w <= i % 17; ++w, ++n_words) lines += "w" + std::to_string((i + w) % 100) + " ";
    lines += "\n";
  }
  const BatchConfig config{.max_sequence = 10, .batch_tokens = 64};
  const auto batches = all(stream(lines, config));
  std::size_t n_tokens = 0;
  std::int32_t next_position = 0;
  std::uint64_t document = 0;
  for (const TokenBatch& batch : batches) {
    n_tokens += batch.n_tokens();
    ASSERT_LE(batch.n_tokens(), 64u);
    ASSERT_EQ(batch.starts.back(), static_cast<std::int32_t>(batch.n_tokens()));
    for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
      ASSERT_GT(batch.starts[s + 1], batch.starts[s]);
      ASSERT_LE(batch.starts[s + 1] - batch.starts[s], 10);
    }
    for (std::size_t t = 0; t < batch.n_tokens(); ++t) {
      if (batch.document[t] != document) next_position = 0;
      document = batch.document[t];
      ASSERT_EQ(batch.position[t], next_position++);
      const auto offset = static_cast<std::uint64_t>(batch.position[t]);
      ASSERT_EQ(batch.ids[t],
                offset == 0 ? 1 : static_cast<int>((document + offset - 1) % 100) + 2);
    }
  }
  EXPECT_EQ(n_tokens, n_words + 5000);
  EXPECT_EQ(document, 4999u);
  const auto again = all(stream(lines, config));
  ASSERT_EQ(again.size(), batches.size());
  for (std::size_t i = 0; i < again.size(); ++i) ASSERT_EQ(again[i].ids, batches[i].ids);
}

TEST_F(BatchTest, ATokenWithoutAnEmbeddingMakesABadDocument) {
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += i == 57 || i == 211 ? "w1 w60 w2\n" : "w1\n";
  // "w48" is the last that has one.
  BatchStream some = stream(lines, {.max_sequence = 8, .batch_tokens = 8, .n_embeddings = 50});
  std::set<std::uint64_t> documents;
  while (const auto batch = some.next()) {
    documents.insert(batch->document.begin(), batch->document.end());
    for (const std::int32_t id : batch->ids) ASSERT_LT(id, 50);
  }
  EXPECT_EQ(documents.size(), 298u);
  EXPECT_FALSE(documents.contains(57)) << "not even its first tokens";
  EXPECT_TRUE(documents.contains(299)) << "the others keep their numbers";
  EXPECT_EQ(some.report().n_bad, 2u);
  EXPECT_EQ(some.report().n_documents, 298u);
  ASSERT_EQ(some.report().first_bad.size(), 2u);
  EXPECT_THAT(some.report().first_bad[0],
              testing::AllOf(testing::HasSubstr("document 57"), testing::HasSubstr("w60")));
  EXPECT_EQ(all(stream(lines, {.max_sequence = 8, .batch_tokens = 8, .n_embeddings = 63})).size(),
            all(stream(lines, {.max_sequence = 8, .batch_tokens = 8})).size());

  const std::string fault = error_of([&] {
    all(stream("w1\nw60\n", {.max_sequence = 8, .batch_tokens = 8, .n_embeddings = 50}));
  });
  EXPECT_THAT(fault, testing::HasSubstr("1 of 2"));
}

TEST_F(BatchTest, SplitsByTextAlone) {
  std::string lines;
  for (int i = 0; i < 2000; ++i)
    lines += "w" + std::to_string(i % 100) + " w" + std::to_string(i / 40) + "\n";
  const BatchConfig config{.max_sequence = 64, .batch_tokens = 64};
  const auto count = [&](Split split) {
    std::size_t n = 0;
    for (const TokenBatch& batch : all(stream(lines, config, split, 0.1))) n += batch.n_sequences();
    return n;
  };
  const std::size_t held_out = count(Split::held_out);
  EXPECT_EQ(held_out + count(Split::train), 2000u);
  // A binomial(2000, 0.1) lies within 200 +- 80 but for 6 standard deviations.
  EXPECT_GT(held_out, 120u);
  EXPECT_LT(held_out, 280u);
  EXPECT_FALSE(is_held_out("any text", 0));
  EXPECT_TRUE(is_held_out("any text", 1));
  for (int i = 0; i < 50; ++i) {
    const std::string text = "A document of number " + std::to_string(i) + ", as it came.";
    EXPECT_EQ(is_held_out(text, 0.5), is_held_out("\n" + text + "..", 0.5)) << text;
  }
}

TEST_F(BatchTest, RefusesImpossibleSizes) {
  error_of([&] { stream("w0\n", {.max_sequence = 0}); });
  error_of([&] { stream("w0\n", {.max_sequence = 8, .batch_tokens = 7}); });
}

TEST(TokenBatch, ClearsToEmpty) {
  TokenBatch batch;
  EXPECT_EQ(batch.n_sequences(), 0u);
  batch.ids = {1};
  batch.starts = {0, 1};
  batch.clear();
  EXPECT_EQ(batch.n_tokens(), 0u);
  EXPECT_EQ(batch.n_sequences(), 0u);
}

}  // namespace
}  // namespace safesail
