// How likely each of a few tokens is at given places of a text: one pass over the text reads all of
// them, where generating would take a pass a token. Texts that open alike, as questions with the
// same instructions do, share the work on their opening.
//
// Used by one thread at a time; the model and the openings must outlive it. The same question gives
// the same bits, whether its opening was known or not.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/language_model.h"
#include "model/prefix_cache.h"

namespace safesail {

class ChoiceReader {
 public:
  /// `openings` is of the same model.
  ChoiceReader(const LanguageModel& model, PrefixCache& openings)
      : model_(model), openings_(openings) {}

  struct Read {
    std::vector<std::vector<float>> logprobs;  ///< [n_places][n_choices]
    std::size_t n_known = 0;                   ///< tokens of the opening that were known
  };
  /// Log probabilities of the tokens `choices` at each of `places`, given the tokens of `ids`
  /// before it; `places` rise and are at least 1. What stands at a place is what later places see
  /// there. `seams` as in PrefixCache::open: what stands before the first place is kept for texts
  /// to come. An environment error where memory is too little.
  Read read(std::span<const std::int32_t> ids, std::span<const std::size_t> seams,
            std::span<const std::size_t> places, std::span<const std::int32_t> choices);

 private:
  const LanguageModel& model_;
  PrefixCache& openings_;
};

}  // namespace safesail
