// How likely each of a few tokens is at given places of a text: one pass over the text reads all of
// them, where generating would take a pass a token. Texts that open alike, as questions with the
// same instructions do, share the work on their opening.
//
// Used by one thread at a time; the model must outlive it. The same question gives the same bits,
// whether its opening was known or not.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "model/kv_cache.h"
#include "model/language_model.h"

namespace safesail {

class ChoiceReader {
 public:
  explicit ChoiceReader(const LanguageModel& model) : model_(model) {}

  struct Read {
    std::vector<std::vector<float>> logprobs;  ///< [n_places][n_choices]
    std::size_t n_known = 0;                   ///< tokens of the opening, where it was known
  };
  /// Log probabilities of the tokens `choices` at each of `places`, given the tokens of `ids`
  /// before it; `places` rise and are at least 1. What stands at a place is what later places see
  /// there. The first `n_opening` tokens are kept for texts to come; at most they reach up to the
  /// first place. An environment error where memory is too little.
  Read read(std::span<const std::int32_t> ids, std::size_t n_opening,
            std::span<const std::size_t> places, std::span<const std::int32_t> choices);

 private:
  struct Opening {
    std::vector<std::int32_t> ids;
    KvCache cache;  ///< of the opening, and of the rest of the last text that had it
  };
  /// The cache that holds just this opening.
  KvCache& open(std::span<const std::int32_t> ids, std::int64_t capacity, std::size_t& n_known);

  const LanguageModel& model_;
  std::list<Opening> openings_;  // the last used first
};

}  // namespace safesail
