#include "cli/corpus_options.h"

#include <CLI/CLI.hpp>

namespace safesail {

CorpusConfig CorpusOptions::corpus_config() const {
  CorpusConfig config = corpus;
  config.document_per_line = !paragraphs;
  return config;
}

BatchConfig CorpusOptions::batch_config(std::int64_t n_embeddings) const {
  BatchConfig config = batch;
  config.add_special = !no_special;
  config.n_embeddings = n_embeddings;
  return config;
}

void add_corpus_options(CLI::App& command, CorpusOptions& options) {
  constexpr const char* kGroup = "Corpus";
  command
      .add_option("-c,--corpus", options.corpus.paths,
                  "Files, folders or globs: .jsonl, .parquet or plain text, each also .gz or .zst")
      ->required()
      ->group(kGroup);
  command.add_option("--field", options.corpus.field, "Field with the text, or with chat messages")
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_flag("--paragraphs", options.paragraphs,
                "Plain text: a document is a paragraph, not a line")
      ->group(kGroup);
  command
      .add_option("--max-bad", options.corpus.max_bad_share,
                  "Share of bad lines that stops the run")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_option("--shuffle-window", options.corpus.shuffle_window,
                  "Documents are shuffled inside windows of this many; 0 keeps their order")
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_option("--max-sequence", options.batch.max_sequence,
                  "Longer documents are cut into pieces of this")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_option("--batch-tokens", options.batch.batch_tokens,
                  "Tokens of one forward pass of the model")
      ->check(CLI::Range(2, 1 << 24))
      ->capture_default_str()
      ->group(kGroup);
  command.add_flag("--no-special", options.no_special, "Add no BOS or EOS to documents")
      ->group(kGroup);
}

}  // namespace safesail
