// How windows are shown to a model: as JSON, so that a text can never end the place it stands in,
// with the tokens that matter between marks. Tokens that share a character are marked as one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harvest/exemplars.h"
#include "interpret/simulator.h"

namespace safesail {

/// A JSON string; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// What stands around a marked token.
struct Marks {
  std::string open = "<<", close = ">>";
};

/// Marks that occur in none of the texts of a prompt, so that no text can forge one: as many angles
/// as it takes to be longer than any run of them there, two at least.
Marks marks_for(std::span<const std::string_view> texts);

/// "a car <<bomb|10>> near": every token of level >= 1.
std::string text_with_levels(const Window& window, float quantile, const Marks& marks = {});

/// "a car <<bomb>> near": `marked` in order, not overlapping; ones that touch are marked as one.
std::string text_with_marks(std::string_view text, std::span<const Question::Range> marked,
                            const Marks& marks = {});

/// How many excerpts an explanation is written from.
struct ExcerptPlan {
  int per_level = 3;  ///< of each level 1..10
  int near = 6;       ///< hard negatives
  int silent = 4;     ///< drawn at random

  /// Of about half as many, for a model that does not read so much; nothing where that is less than
  /// an excerpt a level.
  std::optional<ExcerptPlan> fewer() const;
};

/// Drawn by `seed` and the feature's name: firing ones by falling level, then near, then silent.
/// Every exemplar of the record must be of Use::explain: any other is std::logic_error, so that
/// nothing of the test side can get into a prompt.
std::vector<const Exemplar*> choose_excerpts(const FeatureRecord& record, const ExcerptPlan& plan,
                                             std::uint64_t seed);

}  // namespace safesail
