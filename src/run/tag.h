// Files explained features under the safety risks, by a language model, with the words that decide
// it as evidence. Asked again it costs nothing (the ledger has the answers) and writes the same.
#pragma once

#include <stop_token>
#include <string>

#include "atlas/atlas.h"
#include "base/report.h"
#include "interpret/llm_tagger.h"

namespace safesail {

struct TagCounts {
  std::size_t n_tagged = 0, n_without_risk = 0, n_unanswered = 0;
};

/// Every feature that has an explanation with this key. `source` of the tags: the model's name.
TagCounts tag_features(LlmTagger& tagger, const ExplanationKey& explained, const std::string& sae,
                       Atlas& atlas, Reporter& reporter, std::stop_token stop);

}  // namespace safesail
