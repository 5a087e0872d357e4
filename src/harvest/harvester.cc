#include "harvest/harvester.h"

#include <ATen/ATen.h>
#include <utility>

#include "base/clock.h"
#include "base/error.h"

namespace safesail {
namespace {

/// Row numbers of the tokens to keep.
std::vector<std::int64_t> kept_rows(const TokenBatch& batch, bool keep_special,
                                    std::uint64_t at_most) {
  std::vector<std::int64_t> rows;
  for (std::size_t t = 0; t < batch.n_tokens() && rows.size() < at_most; ++t)
    if (keep_special || batch.is_content[t] != 0) rows.push_back(static_cast<std::int64_t>(t));
  return rows;
}

/// The rows of one site while its block grows. They are copied once, into room for a whole block:
/// parts joined in the end would take twice its memory, and leave holes.
class GrowingRows {
 public:
  void append(const at::Tensor& value, const std::vector<std::int64_t>& rows,
              std::int64_t block_rows) {
    const auto n = static_cast<std::int64_t>(rows.size());
    if (!room_.defined()) {
      room_ = at::empty({n < block_rows ? block_rows + n : n, value.size(1)}, value.options());
    } else if (n_rows_ + n > room_.size(0)) {
      at::Tensor larger = at::empty({n_rows_ + n, room_.size(1)}, room_.options());
      larger.narrow(0, 0, n_rows_).copy_(room_.narrow(0, 0, n_rows_));
      room_ = std::move(larger);
    }
    at::Tensor into = room_.narrow(0, n_rows_, n);
    if (n == value.size(0))
      into.copy_(value);
    else
      at::index_select_out(into, value, 0, at::tensor(rows, at::kLong).to(value.device()));
    n_rows_ += n;
  }
  at::Tensor take() { return room_.narrow(0, 0, n_rows_); }

 private:
  at::Tensor room_;
  std::int64_t n_rows_ = 0;
};

}  // namespace

std::size_t ActivationBlock::n_rows() const {
  return values.empty() ? 0 : static_cast<std::size_t>(values.front().size(0));
}

std::string token_policy(bool add_special, bool keep_special) {
  const std::string read =
      add_special ? "special tokens added and read; " : "no special tokens added; ";
  return read + (keep_special  ? "all are kept"
                 : add_special ? "left out of training"
                               : "those in the text left out of training");
}

Harvester::Harvester(const LanguageModel& model, BatchStream batches, HarvestConfig config)
    : model_(model), batches_(std::move(batches)), config_(std::move(config)) {
  if (config_.sites.empty())
    bad_input("sites", "expected at least one site", "name one, as in --sites mlp_out.3");
}

std::optional<Harvester::Piece> Harvester::next_piece(std::int64_t rows_in_block) {
  while (rows_in_block < config_.block_rows) {
    const std::uint64_t left =
        config_.max_rows == 0 ? ~std::uint64_t{0} : config_.max_rows - n_rows_;
    if (left == 0) break;
    std::optional<TokenBatch> batch = batches_.next();
    if (!batch) break;
    std::vector<std::int64_t> rows = kept_rows(*batch, config_.keep_special, left);
    if (rows.empty()) continue;
    n_rows_ += rows.size();
    return Piece{std::move(*batch), std::move(rows)};
  }
  return std::nullopt;
}

void Harvester::skip(std::uint64_t n_blocks) {
  // Reading and tokenising again is thousands of times cheaper than the model's pass, and exact.
  for (; n_blocks > 0; --n_blocks) {
    std::int64_t rows_in_block = 0;
    while (const std::optional<Piece> piece = next_piece(rows_in_block))
      rows_in_block += static_cast<std::int64_t>(piece->rows.size());
    if (rows_in_block == 0)
      bad_input("corpus",
                "expected to find the text where the interrupted run stopped, got the end",
                "the corpus has become shorter; start over with --force");
  }
}

std::optional<ActivationBlock> Harvester::next() {
  const c10::InferenceMode inference;
  ActivationBlock block;
  std::vector<GrowingRows> values(config_.sites.size());
  std::int64_t rows_in_block = 0;
  while (const std::optional<Piece> piece = next_piece(rows_in_block)) {
    const Clock::time_point start = Clock::now();
    const TokenBatch& batch = piece->batch;
    ForwardRequest request{.ids = batch.ids, .starts = batch.starts, .read = config_.sites};
    const ForwardResult result = model_.forward(request);
    for (std::size_t s = 0; s < values.size(); ++s)
      values[s].append(result.sites[s], piece->rows, config_.block_rows);
    block.seconds += seconds_since(start);
    model_tokens_ += batch.n_tokens();

    for (const std::int64_t t : piece->rows) {
      const auto i = static_cast<std::size_t>(t);
      block.token.push_back(batch.ids[i]);
      block.position.push_back(batch.position[i]);
      block.document.push_back(batch.document[i]);
    }
    rows_in_block += static_cast<std::int64_t>(piece->rows.size());
  }
  if (rows_in_block == 0) return std::nullopt;
  model_seconds_ += block.seconds;
  for (GrowingRows& rows : values) block.values.push_back(rows.take());
  return block;
}

}  // namespace safesail
