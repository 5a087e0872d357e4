// Corpora: documents streamed from jsonl, plain text and parquet files, each also .gz or .zst.
//
// A Corpus is a forward stream, used by one thread. Bad lines are counted, the first few are kept
// to be shown, and more than `max_bad_share` of them ends the stream with an input error (at the
// end, or from the 1,000th line on). So does a corpus without a single document.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "text/tokenizer.h"

namespace safesail {

struct CorpusConfig {
  /// Files, folders or globs (** is any number of folders), read in sorted order, each file once.
  /// The format follows from the name: .jsonl/.ndjson/.json (one object a line, or one array of
  /// objects), .parquet, anything else plain text; .gz and .zst are unpacked. Of a folder, files of
  /// these formats and .txt are read, at any depth.
  std::vector<std::string> paths;
  /// jsonl and parquet: the field with the text. A field that holds a message list is rendered with
  /// the chat template of the tokenizer; "messages" is tried where "text" is missing.
  std::string field = "text";
  /// Plain text: a document is a line (true) or a paragraph, lines up to the next empty one
  /// (false).
  bool document_per_line = true;
  double max_bad_share = 0.01;
  /// Documents are shuffled inside windows of this many (0: kept in order), by `seed`. A window
  /// also ends at 256 MiB of text.
  std::uint32_t shuffle_window = 16384;
  std::uint64_t seed = 0;
};

struct Document {
  std::uint64_t id = 0;  ///< number of the document in file order, from 0; independent of shuffling
  std::string text;
  bool is_chat = false;  ///< rendered from messages: BOS and EOS are in the text where they belong
  std::uint32_t part = 0;  ///< of the corpus: place in CorpusConfig::paths
};

/// An input error where a path names no file. Cheap: to be asked before a model is loaded.
void require_corpus_files(const CorpusConfig& config);

/// A name for each part: the last component of its path.
std::vector<std::string> part_names(const CorpusConfig& config);

struct CorpusReport {
  std::uint64_t n_documents = 0, n_bad = 0;
  /// "file:line: reason", at most five; rows for parquet; "document 17: reason" of rejected ones.
  std::vector<std::string> first_bad;
};

/// Warns of the bad lines that were left out, with the first few; says nothing when there were
/// none.
void warn_of_bad_lines(const CorpusReport& report, Reporter& reporter);

class Corpus {
 public:
  /// `tokenizer` renders message lists; it must outlive the corpus. nullptr: message lists are bad
  /// lines.
  Corpus(CorpusConfig config, const Tokenizer* tokenizer);
  ~Corpus();
  Corpus(Corpus&&) noexcept;

  /// The next document, or nothing at the end.
  std::optional<Document> next();
  /// Document `id`, which next() has given, turns out to be of no use: it counts as a bad line.
  void reject(std::uint64_t id, std::string_view reason);
  const CorpusReport& report() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
