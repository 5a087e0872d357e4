#include "text/batch.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "text/likeness.h"

namespace safesail {
namespace {

/// Documents are tokenised in groups of about this much text: enough to share among threads, little
/// enough to hold.
constexpr std::size_t kGroupDocuments = 1024;
constexpr std::size_t kGroupBytes = std::size_t{4} << 20;

}  // namespace

void TokenBatch::append(std::span<const std::int32_t> sequence, std::uint64_t document_id,
                        std::int32_t first_position, const Tokenizer& tokenizer) {
  SAFESAIL_CHECK(!sequence.empty());
  ids.insert(ids.end(), sequence.begin(), sequence.end());
  for (std::size_t t = 0; t < sequence.size(); ++t)
    position.push_back(first_position + static_cast<std::int32_t>(t));
  document.insert(document.end(), sequence.size(), document_id);
  for (const std::int32_t id : sequence) is_content.push_back(!tokenizer.is_special(id));
  starts.push_back(static_cast<std::int32_t>(ids.size()));
}

void TokenBatch::clear() {
  ids.clear();
  starts.assign(1, 0);
  position.clear();
  document.clear();
  is_content.clear();
}

std::optional<std::string> unreadable(std::span<const std::int32_t> ids, std::int64_t n_embeddings,
                                      const Tokenizer& tokenizer) {
  const auto beyond = std::ranges::find_if(ids, [&](auto id) { return id >= n_embeddings; });
  if (n_embeddings == 0 || beyond == ids.end()) return std::nullopt;
  return fmt::format("the model has no embedding for the token {} ({})",
                     printable(tokenizer.token(*beyond)), *beyond);
}

bool is_held_out(std::string_view text, double held_out_share) {
  return likeness_draw(likeness_key(text), "held out") < held_out_share;
}

BatchStream::BatchStream(Corpus corpus, const Tokenizer& tokenizer, BatchConfig config, Split split,
                         double held_out_share)
    : corpus_(std::move(corpus)),
      tokenizer_(tokenizer),
      config_(config),
      split_(split),
      held_out_share_(held_out_share) {
  if (config_.max_sequence < 1)
    bad_input("max_sequence", "expected at least 1 token", "raise max_sequence");
  if (config_.batch_tokens < config_.max_sequence)
    bad_input("batch_tokens", "expected at least max_sequence tokens in a batch",
              "raise batch_tokens or lower max_sequence");
}

bool BatchStream::keeps(std::string_view text) const {
  return split_ == Split::all || is_held_out(text, held_out_share_) == (split_ == Split::held_out);
}

bool BatchStream::refill() {
  std::vector<std::string> texts;
  std::vector<std::uint64_t> documents;
  std::size_t n_bytes = 0;
  bool is_chat = false;
  while (texts.size() < kGroupDocuments && n_bytes < kGroupBytes) {
    std::optional<Document> document = std::exchange(held_, std::nullopt);
    if (!document) document = corpus_.next();
    if (!document) break;
    if (!keeps(document->text)) continue;
    if (texts.empty()) is_chat = document->is_chat;
    // A group is encoded in one way.
    if (document->is_chat != is_chat) {
      held_ = std::move(document);
      break;
    }
    n_bytes += document->text.size();
    documents.push_back(document->id);
    texts.push_back(std::move(document->text));
  }
  group_ = tokenizer_.encode_ids(texts, config_.add_special && !is_chat);
  group_documents_ = std::move(documents);
  next_document_ = next_token_ = 0;
  return !texts.empty();
}

std::optional<TokenBatch> BatchStream::next() {
  TokenBatch batch;
  for (;;) {
    if (next_document_ == group_documents_.size() && !refill()) break;
    const std::size_t begin = next_document_ == 0 ? 0 : group_.ends[next_document_ - 1];
    const std::size_t end = group_.ends[next_document_];
    const std::size_t length =
        std::min(end - begin - next_token_, static_cast<std::size_t>(config_.max_sequence));
    if (batch.n_tokens() + length > static_cast<std::size_t>(config_.batch_tokens)) return batch;
    if (next_token_ == 0) {
      const auto ids = std::span(group_.ids).subspan(begin, end - begin);
      if (const auto reason = unreadable(ids, config_.n_embeddings, tokenizer_)) {
        corpus_.reject(group_documents_[next_document_++], *reason);
        continue;
      }
    }
    // A text may have no tokens at all, when a normalizer strips it.
    if (length > 0)
      batch.append(std::span(group_.ids).subspan(begin + next_token_, length),
                   group_documents_[next_document_], static_cast<std::int32_t>(next_token_),
                   tokenizer_);
    next_token_ += length;
    if (begin + next_token_ == end) {
      ++next_document_;
      next_token_ = 0;
    }
  }
  if (batch.n_tokens() == 0) return std::nullopt;
  return batch;
}

}  // namespace safesail
