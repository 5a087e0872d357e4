// How likely each of a few tokens is at given places of a text: one pass over the text reads all of
// them, where generating would take a pass a token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/language_model.h"

namespace safesail {

/// Log probabilities [n_places][n_choices] of the tokens `choices` at each of `places`, given the
/// tokens of `ids` before it; `places` rise and are at least 1. What stands at a place is what
/// later places see there. An environment error where memory is too little.
std::vector<std::vector<float>> read_choices(const LanguageModel& model,
                                             std::span<const std::int32_t> ids,
                                             std::span<const std::size_t> places,
                                             std::span<const std::int32_t> choices);

}  // namespace safesail
