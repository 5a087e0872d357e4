// Files explained features under the safety risks, by a language model, with the words that decide
// it as evidence. Asked again it costs nothing (the ledger has the answers) and writes the same.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>

#include "atlas/atlas.h"
#include "base/report.h"
#include "interpret/llm_tagger.h"

namespace safesail {

struct TagCounts {
  std::size_t n_tagged = 0, n_without_risk = 0, n_unanswered = 0;
  std::size_t n_copied = 0, n_failed = 0;  ///< of those unanswered
  std::string reason;                      ///< of the last that failed
};

/// Every feature that has an explanation with this key. `source` of the tags: the model's name.
/// Adds to `counts` what was written, also where it ends by an Error.
void tag_features(LlmTagger& tagger, const ExplanationKey& explained, const std::string& sae,
                  Atlas& atlas, Reporter& reporter, std::stop_token stop, TagCounts& counts);

/// What tag_features() would probably cost once `lacking` features more are explained, whose texts
/// are not written yet.
CostEstimate estimate_tagging(LlmTagger& tagger, const ExplanationKey& explained,
                              const std::string& sae, std::span<const std::int64_t> lacking,
                              Atlas& atlas);

}  // namespace safesail
