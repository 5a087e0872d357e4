// Options that say which text is read and how.
#pragma once

#include "cli/session.h"
#include "text/batch.h"
#include "text/corpus.h"

namespace safesail {

struct CorpusOptions {
  CorpusConfig corpus;
  BatchConfig batch;
  bool paragraphs = false, no_special = false;

  CorpusConfig corpus_config() const;
  /// `n_embeddings`: of the model, where it is known already.
  BatchConfig batch_config(std::int64_t n_embeddings = 0) const;
};

void add_corpus_options(CLI::App& command, CorpusOptions& options);

}  // namespace safesail
