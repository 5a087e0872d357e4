#include "harvest/coded_stream.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "text/likeness.h"

namespace safesail {
namespace {

constexpr std::size_t kGroupDocuments = 256;
constexpr std::size_t kGroupBytes = std::size_t{1} << 20;

/// Where each site is read once, though several SAEs read it.
std::vector<Site> distinct_sites(const std::vector<SaeAtSite>& saes) {
  std::vector<Site> sites;
  for (const SaeAtSite& sae : saes)
    if (std::ranges::find(sites, sae.site) == sites.end()) sites.push_back(sae.site);
  return sites;
}

at::Tensor content_rows(const at::Tensor& value, const std::vector<std::int64_t>& rows) {
  if (static_cast<std::int64_t>(rows.size()) == value.size(0)) return value.contiguous();
  return value.index_select(0, at::tensor(rows, at::kLong).to(value.device()));
}

}  // namespace

CodedStream::CodedStream(const LanguageModel& model, const Tokenizer& tokenizer,
                         std::vector<SaeAtSite> saes, DocumentSource documents, BatchConfig config,
                         DocumentRejection reject)
    : model_(model),
      tokenizer_(tokenizer),
      saes_(std::move(saes)),
      documents_(std::move(documents)),
      reject_(std::move(reject)),
      config_(config) {
  SAFESAIL_CHECK(!saes_.empty());
  if (config_.max_sequence < 1 || config_.batch_tokens < config_.max_sequence)
    bad_input("batch_tokens",
              "expected at least max_sequence tokens in a batch, and 1 in a "
              "sequence",
              "raise batch_tokens or lower max_sequence");
  for (const SaeAtSite& sae : saes_)
    if (sae.sae->spec().d_in != model_.spec().d_model)
      bad_input(to_string(sae.site), "the SAE's width is not the model's",
                "use the SAE with the model that it was trained on");
}

std::uint64_t CodedStream::memory_bytes() const {
  const std::size_t n_sites = distinct_sites(saes_).size();
  std::uint64_t coding = 0;
  for (const SaeAtSite& sae : saes_)
    coding = std::max(coding, sae.sae->coding_bytes(config_.batch_tokens));
  return model_.forward_bytes(config_.batch_tokens, n_sites, false) + coding;
}

bool CodedStream::refill() {
  std::vector<Document> group;
  std::size_t n_bytes = 0;
  while (group.size() < kGroupDocuments && n_bytes < kGroupBytes) {
    std::optional<Document> document = std::exchange(held_, std::nullopt);
    if (!document) document = documents_();
    if (!document) break;
    // A group is encoded in one way.
    if (!group.empty() && document->is_chat != group.front().is_chat) {
      held_ = std::move(document);
      break;
    }
    n_bytes += document->text.size();
    group.push_back(std::move(*document));
  }
  if (group.empty()) return false;
  std::vector<std::string> texts;
  for (const Document& document : group) texts.push_back(document.text);
  std::vector<Encoding> encodings =
      tokenizer_.encode_batch(texts, config_.add_special && !group.front().is_chat);
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (const auto reason = unreadable(encodings[i].ids, model_.spec().vocab_size, tokenizer_)) {
      if (!reject_)
        bad_input(fmt::format("text {}", group[i].id), *reason, "leave that text out of it");
      reject_(group[i].id, *reason);
      continue;
    }
    waiting_.push_back({.document = std::move(group[i]),
                        .encoding = std::move(encodings[i]),
                        .hash = hash64(texts[i]),
                        .likeness = likeness_key(texts[i])});
  }
  return true;
}

std::optional<CodedBatch> CodedStream::next() {
  CodedBatch coded;
  TokenBatch tokens;
  while (!waiting_.empty() || refill()) {
    if (waiting_.empty()) continue;  // all of that group were rejected
    Tokenised& next = waiting_.front();
    const std::size_t n_tokens = next.encoding.ids.size();
    const std::size_t last =
        std::min(n_tokens, next.n_read + static_cast<std::size_t>(config_.max_sequence));
    if (tokens.n_tokens() + (last - next.n_read) > static_cast<std::size_t>(config_.batch_tokens))
      break;
    append(next, last, tokens, coded);
    if (last == n_tokens) waiting_.pop_front();
  }
  if (coded.pieces.empty()) return std::nullopt;
  read(tokens, coded);
  return coded;
}

void CodedStream::append(Tokenised& next, std::size_t last, TokenBatch& tokens,
                         CodedBatch& coded) const {
  const Encoding& encoding = next.encoding;
  const std::size_t first = next.n_read;
  CodedPiece piece{.document = next.document.id,
                   .hash = next.hash,
                   .likeness = next.likeness,
                   .first_row = coded.n_rows(),
                   .n_rows = 0,
                   .text = {},
                   .part = next.document.part};
  // A token ends where the tokenizer says and begins where the one before it ended, so that blanks
  // which the tokenizer trims off are not lost. Tokens that it added itself take up no text.
  std::uint32_t begin = first == 0 ? 0 : encoding.offsets[first - 1].second, end = begin;
  const std::uint32_t piece_begin = begin;
  for (std::size_t t = first; t < last; ++t) {
    end = std::max(end, encoding.offsets[t].second);
    if (!tokenizer_.is_special(encoding.ids[t])) {
      coded.ids.push_back(encoding.ids[t]);
      coded.position.push_back(static_cast<std::int32_t>(t));
      coded.bytes.emplace_back(begin - piece_begin, end - piece_begin);
    }
    begin = end;
  }
  piece.text = next.document.text.substr(piece_begin, end - piece_begin);
  piece.n_rows = coded.n_rows() - piece.first_row;
  coded.pieces.push_back(std::move(piece));
  if (last > first)
    tokens.append(std::span(encoding.ids).subspan(first, last - first), next.document.id,
                  static_cast<std::int32_t>(first), tokenizer_);
  next.n_read = last;
}

void CodedStream::read(const TokenBatch& tokens, CodedBatch& coded) {
  const c10::InferenceMode inference;
  coded.codes.resize(saes_.size());
  std::vector<std::int64_t> rows;
  for (std::size_t t = 0; t < tokens.n_tokens(); ++t)
    if (tokens.is_content[t] != 0) rows.push_back(static_cast<std::int64_t>(t));
  if (rows.empty()) return;
  const std::vector<Site> sites = distinct_sites(saes_);
  const ForwardResult result =
      model_.forward({.ids = tokens.ids, .starts = tokens.starts, .read = sites});
  n_model_tokens_ += tokens.n_tokens();
  for (std::size_t s = 0; s < sites.size(); ++s) {
    const at::Tensor x = content_rows(result.sites[s], rows).cpu();
    for (std::size_t i = 0; i < saes_.size(); ++i)
      if (saes_[i].site == sites[s]) coded.codes[i] = saes_[i].sae->encode(x, fastest_selection());
  }
}

}  // namespace safesail
