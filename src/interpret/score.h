// A score: how well an explanation, read by a simulator, predicts where its feature fires in text
// that neither the explanation's author nor any calibration has seen.
//
//   segment, token       Pearson over the pooled units of all answered windows
//   detection, fuzzing   balanced accuracy at 0.5, over windows
//
// Beside each the AUROC, a 95 % interval by resampling documents, and the floor: the same
// questions answered from another feature's explanation. Questions that were not answered are
// counted by what became of them; they are neither zeros nor forgotten, and where less than half of
// either side (firing, silent) is answered there is no score. Nothing here is shared between
// threads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bootstrap.h"
#include "interpret/question.h"
#include "interpret/simulator.h"

namespace safesail {

enum class ScoreStatus {
  ok,
  insufficient,  ///< too few windows: nothing was asked
  unanswered,    ///< less than half of the questions of a side were answered
  constant       ///< the simulator says the same everywhere: there is no correlation with that
};
std::string_view to_string(ScoreStatus status);

/// A window and what became of the questions about it, for display; one a window. Fuzzing asks
/// about a window twice: it has two units, the whole text with `marked` and with `wrongly_marked`.
struct SimulatedWindow {
  std::size_t exemplar = 0;  ///< index in the record
  std::vector<TextRange> units, marked, wrongly_marked;
  std::vector<float> truth, predicted;  ///< [n_units]; predicted is empty unless all is answered
  AnswerStatus status = AnswerStatus::failed;
};

struct ScoreResult {
  Scorer scorer = Scorer::segment;
  std::string simulator, prompt_hash;
  ScoreStatus status = ScoreStatus::ok;
  std::string reason;  ///< for people, where status is not ok

  // NaN where there is none.
  Estimate value, auroc, floor;

  std::size_t n_asked = 0;                   ///< questions
  std::array<std::size_t, 4> n_answers{};    ///< by AnswerStatus; they add up to n_asked
  std::size_t n_units = 0, n_documents = 0;  ///< of the answered questions
  std::size_t n_shared = 0;                  ///< windows dropped as leaks; see question.h
  std::vector<SimulatedWindow> windows;

  double share_answered() const;
  /// What the score counts in means and rankings: its value; that of pure chance where the
  /// simulation is constant, as leaving it out would flatter; nothing where there is no score.
  std::optional<double> counted() const;
};

/// What a simulator that knows nothing gets: 0 for correlations, 0.5 for accuracies.
double chance(Scorer scorer);

struct ScoreOptions {
  std::size_t n_resamples = 1000;
  std::uint64_t seed = 0;
};

/// Asks the questions, and once more with `floor` unless it is null. Throws what the simulator
/// throws.
ScoreResult score(Simulator& simulator, const QuestionSet& set, const ExplanationText& explanation,
                  const ExplanationText* floor = nullptr, const ScoreOptions& options = {});

/// Whose explanation serves as whose floor: for each the next one by density, for the last ones the
/// one before. Never one of equal density: several explanations of a feature are no floor to each
/// other. Where there is none other, its own index.
std::vector<std::size_t> floor_partners(std::span<const double> densities);

}  // namespace safesail
