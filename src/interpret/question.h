// The questions by which an explanation of a feature is scored, from the feature's test windows.
//
// Only windows with use == Use::test are asked about, and of these none whose tokens or whose
// document also serve explaining or calibrating: such windows are dropped and counted. A window
// fires when its maximum has at least `min_level`; one rule for all scorers, so that windows in
// which the feature fires more weakly stand on the silent side, next to those in which it does not
// fire at all and to the hard ones. Windows are taken in turn from each stratum (top, each level;
// weak, silent, hard by token, hard by company) until a side is full. All scorers ask about the
// same windows. Equal seeds give equal questions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harvest/exemplars.h"
#include "interpret/segment.h"
#include "interpret/simulator.h"

namespace safesail {

struct QuestionOptions {
  int min_level = 1;  ///< from which a token, and what holds it, counts as active
  int segment_words = kSegmentWords;
  std::size_t max_windows = 40;  ///< of a side, firing or silent; an input error below min_windows
  std::size_t min_windows = 10;  ///< of a side; below, there is no score
  std::uint64_t seed = 0;
};

struct QuestionSet {
  Scorer scorer = Scorer::segment;
  std::vector<Question> questions;
  /// [n_questions][n_units]: 0 or 1; levels 0..10 for Scorer::token.
  std::vector<std::vector<float>> truth;
  std::vector<std::size_t> exemplar;    ///< [n_questions] index in the record
  std::vector<std::uint64_t> document;  ///< [n_questions]
  std::vector<bool> fires;  ///< [n_questions] the side: firing or silent, rightly or wrongly marked

  std::size_t n_firing() const;
  std::size_t n_shared = 0;    ///< test windows dropped because they serve another use too
  std::size_t n_repeated = 0;  ///< test windows dropped because the same tokens came before
  /// "insufficient: n = 3 firing, 20 silent; 10 of each are wanted"; empty when enough.
  std::string insufficient;

  /// Of all that is asked: texts, units, marks. Two sets with one hash have the same answers.
  std::string hash() const;
};

/// segment, token: firing and silent windows, cut into units. detection: the same, each one unit.
/// fuzzing: each firing window twice, once with its active tokens marked and once with as many that
/// are silent; never both in the same half of the questions.
QuestionSet build_questions(const FeatureRecord& record, Scorer scorer,
                            const QuestionOptions& options = {});

/// One unit a token; tokens that share a character are one unit.
std::vector<TextRange> token_units(const Window& window);

}  // namespace safesail
