// The model over a corpus: token batches -> activations of several sites in one truncated pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harvest/block.h"
#include "model/language_model.h"
#include "model/site.h"
#include "text/batch.h"

namespace safesail {

struct HarvestConfig {
  std::vector<Site> sites;
  /// A block is complete when it holds at least this many rows; it always ends with a whole batch.
  std::int64_t block_rows = 16384;
  /// Ends the stream after this many rows (the last block is cut to fit); 0: the whole corpus.
  std::uint64_t max_rows = 0;
  bool keep_special = false;  ///< special tokens (BOS, chat marks) are left out by default
};

/// In words, for what is made of the rows: which tokens the model reads, which are kept.
std::string token_policy(bool add_special, bool keep_special);

/// `model` must outlive the harvester.
class Harvester final : public BlockSource {
 public:
  Harvester(const LanguageModel& model, BatchStream batches, HarvestConfig config);

  std::optional<ActivationBlock> next() override;
  void skip(std::uint64_t n_blocks) override;

  /// Seconds spent inside the model so far, and tokens it read (special ones included).
  double model_seconds() const { return model_seconds_; }
  std::uint64_t model_tokens() const { return model_tokens_; }
  const CorpusReport& corpus_report() const { return batches_.report(); }

 private:
  /// Tokens of one pass of the model, and which of its rows are kept.
  struct Piece {
    TokenBatch batch;
    std::vector<std::int64_t> rows;
  };
  /// The next piece of a block that holds `rows_in_block` already; nothing when the block is
  /// complete or the stream has ended.
  std::optional<Piece> next_piece(std::int64_t rows_in_block);

  const LanguageModel& model_;
  BatchStream batches_;
  const HarvestConfig config_;
  std::uint64_t n_rows_ = 0, model_tokens_ = 0;
  double model_seconds_ = 0;
};

}  // namespace safesail
