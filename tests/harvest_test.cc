// The packaged model over a small corpus: blocks, provenance, files.
#include <ATen/ATen.h>
#include <fstream>
#include <gtest/gtest.h>

#include "base/error.h"
#include "harvest/activation_files.h"
#include "harvest/harvester.h"
#include "harvest/prefetch.h"
#include "workspace.h"

namespace safesail {
namespace {

class HarvestTest : public WorkspaceTest {
 protected:
  static void SetUpTestSuite() {
    SilentReporter silent;
    model_ = std::make_unique<LanguageModel>(
        LanguageModel::load(packaged_model(), {.dtype = ComputeType::f32}, silent));
    tokenizer_ = std::make_unique<Tokenizer>(Tokenizer::load(packaged_model()));
  }
  static void TearDownTestSuite() {
    model_.reset();
    tokenizer_.reset();
  }
  void SetUp() override {
    WorkspaceTest::SetUp();
    std::ofstream file(dir_ / "corpus.txt");
    for (int i = 0; i < 12; ++i)
      file << "Sentence number " << i << " speaks of "
           << (i % 2 != 0 ? "rivers and boats" : "a hill") << ".\n";
  }
  Harvester harvester(std::int64_t block_rows, std::uint64_t max_rows = 0) const {
    CorpusConfig corpus{.paths = {(dir_ / "corpus.txt").string()}, .shuffle_window = 0};
    return {*model_,
            BatchStream(Corpus(corpus, tokenizer_.get()), *tokenizer_,
                        {.max_sequence = 40, .batch_tokens = 40}, Split::all, 0),
            {.sites = sites_, .block_rows = block_rows, .max_rows = max_rows}};
  }
  static std::vector<ActivationBlock> drain(BlockSource& source) {
    std::vector<ActivationBlock> blocks;
    while (auto block = source.next()) blocks.push_back(std::move(*block));
    return blocks;
  }

  /// Each row of each block equals the row of a pass over its document alone.
  void expect_rows_of_documents(Harvester source) {
    std::size_t n_rows = 0;
    for (const ActivationBlock& block : drain(source)) {
      ASSERT_EQ(block.n_rows(), block.document.size());
      for (std::size_t row = 0; row < block.n_rows();) {
        std::size_t end = row;
        while (end < block.n_rows() && block.document[end] == block.document[row]) ++end;
        const std::vector<std::int32_t> ids(block.token.begin() + static_cast<long>(row),
                                            block.token.begin() + static_cast<long>(end));
        ASSERT_EQ(block.position[row], 0);
        const std::vector<std::int32_t> starts = {0, static_cast<std::int32_t>(ids.size())};
        const ForwardResult alone = model_->forward({.ids = ids, .starts = starts, .read = sites_});
        for (std::size_t s = 0; s < sites_.size(); ++s) {
          const at::Tensor packed =
              block.values[s].slice(0, static_cast<long>(row), static_cast<long>(end));
          // f32 sums over at most 1536 terms in another order.
          const double error = (packed - alone.sites[s]).abs().max().item<double>();
          EXPECT_LE(error, 1e-4 * alone.sites[s].abs().max().item<double>())
              << to_string(sites_[s]) << " of document " << block.document[row];
        }
        row = end;
      }
      n_rows += block.n_rows();
    }
    EXPECT_EQ(n_rows, source.model_tokens());
  }

  static std::unique_ptr<LanguageModel> model_;
  static std::unique_ptr<Tokenizer> tokenizer_;
  const std::vector<Site> sites_ = {{SiteKind::mlp_out, 3}, {SiteKind::resid_post, 5}};
};
std::unique_ptr<LanguageModel> HarvestTest::model_;
std::unique_ptr<Tokenizer> HarvestTest::tokenizer_;

TEST_F(HarvestTest, RowsAreThoseOfTheirDocumentAlone) {
  expect_rows_of_documents(harvester(50));
}

// The block has little room left when the long document comes.
TEST_F(HarvestTest, ABlockGrowsByABatchLongerThanThoseBefore) {
  std::ofstream(dir_ / "corpus.txt")
      << "Two words.\nA river ran through the town and past the mill, where boats lay in the "
         "evening light and nobody spoke of the hill behind it any more.\n";
  expect_rows_of_documents(harvester(6));
}

TEST_F(HarvestTest, StopsAtTheBudgetAndContinuesAtABlock) {
  Harvester limited = harvester(50, 75);
  std::size_t n_rows = 0;
  for (const ActivationBlock& block : drain(limited)) n_rows += block.n_rows();
  EXPECT_EQ(n_rows, 75u);

  Harvester whole = harvester(50);
  const std::vector<ActivationBlock> blocks = drain(whole);
  ASSERT_GE(blocks.size(), 2u);
  Harvester resumed = harvester(50);
  resumed.skip(1);
  const auto second = resumed.next();
  ASSERT_TRUE(second);
  EXPECT_TRUE(at::equal(second->values[1], blocks[1].values[1]));
  EXPECT_EQ(second->document, blocks[1].document);
}

TEST_F(HarvestTest, PrefetchingGivesTheSameBlocks) {
  Harvester plain = harvester(50), behind = harvester(50);
  const std::vector<ActivationBlock> expected = drain(plain);
  Prefetcher ahead(behind, 1);
  for (const ActivationBlock& block : expected) {
    const auto got = ahead.next();
    ASSERT_TRUE(got);
    EXPECT_TRUE(at::equal(got->values[0], block.values[0]));
  }
  EXPECT_FALSE(ahead.next());
}

TEST_F(HarvestTest, FilesGiveBackWhatWasWritten) {
  Harvester source = harvester(50);
  const std::vector<ActivationBlock> blocks = drain(source);
  ActivationWriter writer(dir_ / "acts", sites_, {{"model", "smollm2"}});
  std::vector<at::Tensor> all;
  for (const ActivationBlock& block : blocks) {
    writer.write(block);
    all.push_back(block.values[1]);
  }
  ActivationReader reader(dir_ / "acts", {"mlp_out.3", "resid_post.5"}, 64);
  EXPECT_EQ(reader.n_rows(), writer.rows_written());
  std::vector<at::Tensor> back;
  for (const ActivationBlock& block : drain(reader)) back.push_back(block.values[1]);
  EXPECT_TRUE(at::equal(at::cat(back), at::cat(all)));
  EXPECT_THROW(ActivationWriter(dir_ / "acts", sites_, {}), Error);
}

}  // namespace
}  // namespace safesail
