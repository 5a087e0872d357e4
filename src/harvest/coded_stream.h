// Text as features see it: documents -> packed batches -> one truncated pass of the model -> the
// codes of any number of SAEs, with each token's place in its text. What selection, exemplars and
// traces read from.
//
// A stream is used by one thread; model, tokenizer and SAEs must outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/language_model.h"
#include "model/site.h"
#include "sae/sae.h"
#include "text/batch.h"
#include "text/corpus.h"
#include "text/tokenizer.h"

namespace safesail {

/// An SAE and the site that it reads.
struct SaeAtSite {
  Site site;
  const Sae* sae = nullptr;
};

/// A document, or a piece of one that is longer than max_sequence: rows [first_row, first_row +
/// n_rows) of its batch.
struct CodedPiece {
  std::uint64_t document = 0;  ///< Document::id
  std::uint64_t hash = 0;      ///< of the document's whole text
  std::uint64_t likeness = 0;  ///< likeness_key of the document's whole text
  std::size_t first_row = 0, n_rows = 0;
  std::string text;        ///< of the piece
  std::uint32_t part = 0;  ///< Document::part
};

/// Rows are content tokens.
struct CodedBatch {
  std::vector<CodedPiece> pieces;
  std::vector<std::int32_t> ids;       ///< [n_rows]
  std::vector<std::int32_t> position;  ///< [n_rows] in the document, special tokens counted
  /// [n_rows] byte range of the token in its piece's text. Blanks before a token belong to it; of
  /// the tokens that make up one character the first has all of it.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> bytes;
  std::vector<SparseCodes> codes;  ///< [n_saes]

  std::size_t n_rows() const { return ids.size(); }
};

/// The next document, or nothing at the end.
using DocumentSource = std::function<std::optional<Document>()>;
/// Hears of a document, by its id, that the model cannot read, and why.
using DocumentRejection = std::function<void(std::uint64_t id, std::string_view reason)>;

class CodedStream {
 public:
  /// `reject`: documents that the model cannot read are left out; without it they are input errors.
  CodedStream(const LanguageModel& model, const Tokenizer& tokenizer, std::vector<SaeAtSite> saes,
              DocumentSource documents, BatchConfig config, DocumentRejection reject = {});

  /// The next batch, or nothing at the end. A document without content tokens has a piece without
  /// rows.
  std::optional<CodedBatch> next();

  /// Bytes that next() holds at its highest besides the weights.
  std::uint64_t memory_bytes() const;

  std::uint64_t n_model_tokens() const { return n_model_tokens_; }

 private:
  struct Tokenised {
    Document document;
    Encoding encoding;
    std::uint64_t hash = 0, likeness = 0;
    std::size_t n_read = 0;  ///< tokens that have gone into a batch
  };
  bool refill();
  /// Appends the next tokens of a document, up to number `last`, to both batches.
  void append(Tokenised& next, std::size_t last, TokenBatch& tokens, CodedBatch& coded) const;
  void read(const TokenBatch& tokens, CodedBatch& coded);

  const LanguageModel& model_;
  const Tokenizer& tokenizer_;
  const std::vector<SaeAtSite> saes_;
  const DocumentSource documents_;
  const DocumentRejection reject_;
  const BatchConfig config_;
  std::deque<Tokenised> waiting_;
  std::optional<Document> held_;  // read, but to be encoded with the next group
  std::uint64_t n_model_tokens_ = 0;
};

}  // namespace safesail
