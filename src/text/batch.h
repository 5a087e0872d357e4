// Packed tokens: documents laid end to end without padding. Attention never crosses a document
// border.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/corpus.h"
#include "text/tokenizer.h"

namespace safesail {

/// Tokens of several sequences, back to back. Sequence s is rows [starts[s], starts[s + 1]).
struct TokenBatch {
  std::vector<std::int32_t> ids;         ///< [n_tokens]
  std::vector<std::int32_t> starts{0};   ///< [n_sequences + 1], strictly rising, starts[0] = 0
  std::vector<std::int32_t> position;    ///< [n_tokens] position in its document, from 0
  std::vector<std::uint64_t> document;   ///< [n_tokens] Document::id
  std::vector<std::uint8_t> is_content;  ///< [n_tokens] 0 for special tokens (BOS, EOS, chat marks)

  std::size_t n_tokens() const { return ids.size(); }
  std::size_t n_sequences() const { return starts.size() - 1; }
  /// Appends one sequence, not empty; `first_position` > 0 when a long document was cut.
  void append(std::span<const std::int32_t> sequence, std::uint64_t document_id,
              std::int32_t first_position, const Tokenizer& tokenizer);
  void clear();
};

struct BatchConfig {
  std::int32_t max_sequence =
      1024;  ///< longer documents are cut; each piece is a sequence of its own
  std::int32_t batch_tokens = 4096;  ///< a batch closes before it would exceed this
  /// BOS / EOS as the tokenizer adds them; rendered chats have their own and get no more.
  bool add_special = true;
  /// Rows of the model's embedding: a document with a token beyond them (the text of Gemma 3's
  /// image token is one) is a bad one. 0: none is.
  std::int64_t n_embeddings = 0;
};

/// Why a model with `n_embeddings` rows cannot read `ids`: names the token beyond them. Nothing
/// where it can.
std::optional<std::string> unreadable(std::span<const std::int32_t> ids, std::int64_t n_embeddings,
                                      const Tokenizer& tokenizer);

/// Which documents a stream keeps: held-out documents are told apart by likeness_key of their text,
/// so that copies fall on the same side, edited ones as a rule, and the split does not depend on
/// order.
enum class Split { all, train, held_out };
bool is_held_out(std::string_view text, double held_out_share);

/// Documents -> TokenBatches; one thread. Tokenises ahead in small groups.
class BatchStream {
 public:
  BatchStream(Corpus corpus, const Tokenizer& tokenizer, BatchConfig config, Split split,
              double held_out_share);
  /// The next batch, or nothing at the end of the corpus. Never empty.
  std::optional<TokenBatch> next();
  const CorpusReport& report() const { return corpus_.report(); }

 private:
  bool keeps(std::string_view text) const;
  /// Reads and tokenises the next group of documents; false at the end of the corpus.
  bool refill();

  Corpus corpus_;
  const Tokenizer& tokenizer_;
  BatchConfig config_;
  Split split_;
  double held_out_share_;
  // The group being packed: its tokens, the document of each text, and how far packing has come.
  TokenSequences group_;
  std::vector<std::uint64_t> group_documents_;
  std::size_t next_document_ = 0, next_token_ = 0;
  std::optional<Document> held_;  // read, but of the next group
};

}  // namespace safesail
